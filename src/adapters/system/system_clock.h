// The machine's wall clock.
#pragma once

#include "ports/clock.h"

namespace millrace::adapters::system {

class SystemClock final : public ports::Clock {
 public:
  [[nodiscard]] base::UtcTime now() const override;
};

}  // namespace millrace::adapters::system
