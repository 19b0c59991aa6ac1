// What a kind of job is to the runner.
#pragma once

#include <string>

#include "base/result.h"
#include "base/stop.h"
#include "ports/job_store.h"

namespace millrace::jobs {

/// One attempt to execute a job, as its handler sees it. Used by one thread, but for `stop`.
class Attempt {
 public:
  virtual ~Attempt() = default;

  /// What was saved last, by whichever attempt; empty at first.
  [[nodiscard]] virtual const std::string& checkpoint() const = 0;
  /// Durable when it returns. Errors: kUnavailable, kConflict (another process may execute the job by now):
  /// end the attempt with the error.
  [[nodiscard]] virtual base::Result<void> save(std::string checkpoint) = 0;
  /// Shows one line for a person within about a second.
  virtual void set_progress(std::string line) = 0;
  /// Asked for when the process stops, when the job is to be cancelled, and when the right to execute it is
  /// lost: end the attempt soon with kUnavailable.
  [[nodiscard]] virtual const base::StopSignal& stop() const = 0;
};

/// One kind of job. An attempt may end anywhere, also by the end of the process; the next begins with what
/// was saved.
class Handler {
 public:
  virtual ~Handler() = default;

  /// Executes the job from its checkpoint on; a line that says what was done. Errors: kUnavailable (tried
  /// again after a pause, for as long as it takes), any other ends the job as failed.
  [[nodiscard]] virtual base::Result<std::string> run(const ports::Job& job, Attempt& attempt) = 0;
  /// Takes back what the job has done so far; after `run` has ended with kUnavailable. False when it is too
  /// late for that: the job is then carried on. Errors: as `run`.
  [[nodiscard]] virtual base::Result<bool> cancel(const ports::Job& job, Attempt& attempt) = 0;
};

}  // namespace millrace::jobs
