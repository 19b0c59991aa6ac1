// SIGINT, SIGTERM and the end of the terminal as a stop request.
#pragma once

#include <csignal>
#include <thread>

#include "base/stop.h"

namespace millrace::adapters::system {

/// Blocks the stop signals in this thread and all that it starts later, so that only a SignalWatch sees them.
/// Call it first in main. SIGPIPE is ignored.
void block_stop_signals();

/// Owns a thread that requests a stop at the first SIGINT, SIGTERM or SIGHUP (unless that is ignored, as by
/// nohup); a second SIGINT or SIGTERM ends the process at once with status 130.
class SignalWatch {
 public:
  explicit SignalWatch(base::StopSignal& stop);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  base::StopSignal& stop_;
  base::StopSignal ended_;
  std::thread thread_;
};

}  // namespace millrace::adapters::system
