#include "adapters/system/system_clock.h"

namespace millrace::adapters::system {

base::UtcTime SystemClock::now() const {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace millrace::adapters::system
