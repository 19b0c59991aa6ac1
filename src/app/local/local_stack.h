// A stack in the background: starting it, and looking at it, reading its logs and stopping it from another
// process. What runs where is found by the data directory alone.
#pragma once

#include <cstddef>
#include <string>

#include <sys/types.h>

#include "app/config/settings.h"
#include "base/result.h"
#include "base/stop.h"

namespace millrace::app {

/// Forks a child that has a session of its own, survives the terminal, and says its last words in the data
/// directory's millrace.out. Only while there is one thread.
/// Shape: 0 in the child; in the parent the child's process id, or, if something has the data directory
/// already and nothing was forked, that one's process id, negative.
/// Errors: kInvalid (the data directory cannot be made), kFatal.
[[nodiscard]] base::Result<pid_t> detach(const Settings& settings);

/// Follows the start that `detach` told of: progress on the standard output, then the addresses. A `stop`
/// ends a child of ours, cleanly.
/// Shape: true when it is up; false if what had the directory before us has ended meanwhile: detach again.
/// Errors: what the child ended with; kUnavailable (stopped, or not ready in time; then nothing is left
/// running).
[[nodiscard]] base::Result<bool> follow_start(const Settings& settings, pid_t detached,
                                              const base::StopSignal& stop);

/// Stops what holds the data directory: asks, waits until everything is drained and closed, and kills when
/// that takes far too long. Nothing runs when it returns. Nothing to stop is a success. Errors: kFatal.
[[nodiscard]] base::Result<void> run_down(const Settings& settings);

struct PsCommand {
  bool json = false;
};
/// A table of the services. Shape: true if all of them serve.
[[nodiscard]] base::Result<bool> run_ps(const Settings& settings, const PsCommand& command);

struct LogsCommand {
  std::string service;  ///< Empty: all.
  std::size_t lines = 100;
  bool follow = false;  ///< Until `stop`.
};
/// Errors: kNotFound (no such service, or no log yet).
[[nodiscard]] base::Result<void> run_logs(const Settings& settings, const LogsCommand& command,
                                          const base::StopSignal& stop);

}  // namespace millrace::app
