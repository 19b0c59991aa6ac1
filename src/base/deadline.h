// The moment by which a call must have ended, on the steady clock.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/scheduler.h"

namespace millrace::base {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] static Deadline in(std::chrono::milliseconds span) {
    return Deadline(monotonic_now() + span);
  }
  [[nodiscard]] static Deadline at(Clock::time_point moment) { return Deadline(moment); }

  [[nodiscard]] Clock::time_point moment() const { return moment_; }
  [[nodiscard]] bool passed() const { return monotonic_now() >= moment_; }

  /// Time left, never negative.
  [[nodiscard]] std::chrono::milliseconds left() const {
    return std::max(std::chrono::milliseconds(0),
                    std::chrono::ceil<std::chrono::milliseconds>(moment_ - monotonic_now()));
  }

 private:
  explicit Deadline(Clock::time_point moment) : moment_(moment) {}
  Clock::time_point moment_;
};

}  // namespace millrace::base
