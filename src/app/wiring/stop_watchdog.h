// Bounds a stop.
#pragma once

#include <chrono>
#include <string_view>
#include <thread>

#include "base/stop.h"

namespace millrace::app {

/// Declared before all that owns threads, so that it is destroyed after them.
class StopWatchdog {
 public:
  StopWatchdog() = default;
  /// What was to be stopped is.
  ~StopWatchdog();
  StopWatchdog(const StopWatchdog&) = delete;
  StopWatchdog& operator=(const StopWatchdog&) = delete;

  /// From now on the process has `span` to destroy the watchdog; then it is ended at once, with exit code 0:
  /// a call to a server that does not answer is all that can last so long, and what it was doing is as after
  /// a kill, for the next start to take up. Call once.
  void arm(std::chrono::milliseconds span);

 private:
  base::StopSignal done_;
  std::thread thread_;
};

}  // namespace millrace::app
