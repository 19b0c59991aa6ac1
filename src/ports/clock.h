// The wall clock, injected so that tests need not wait.
#pragma once

#include "base/utc_time.h"

namespace millrace::ports {

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual base::UtcTime now() const = 0;
};

}  // namespace millrace::ports
