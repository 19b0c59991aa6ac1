// Jobs: long tasks that a person starts and that go on where they were after a restart. One at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"

namespace millrace::ports {

enum class JobState { kRunning, kDone, kFailed, kCancelled };

/// "running", "done", "failed", "cancelled".
[[nodiscard]] std::string_view to_string(JobState state);

struct Job {
  std::uint64_t id = 0;
  std::string kind;        ///< "rebuild", "replay".
  std::string parameters;  ///< JSON, as it was asked for.
  JobState state = JobState::kRunning;
  bool cancel_requested = false;
  std::string progress;    ///< One line for a person.
  std::string checkpoint;  ///< JSON of the job's own: what it has done already. Empty at first.
  std::string error;       ///< Why it failed.
  base::UtcTime created_at;
  base::UtcTime updated_at;
  std::optional<base::UtcTime> finished_at;
};

/// The right to carry jobs out: one process at a time has it. One caller at a time. Given back when
/// destroyed. Errors of every call: kUnavailable, kConflict (the right is lost, or the job is not running any
/// more: stop carrying it out).
class JobLease {
 public:
  virtual ~JobLease() = default;

  /// The job that is running, if there is one.
  [[nodiscard]] virtual base::Result<std::optional<Job>> running(base::Deadline deadline) = 0;
  /// Durable when it returns.
  [[nodiscard]] virtual base::Result<void> save(std::uint64_t id, const std::string& checkpoint,
                                                base::Deadline deadline) = 0;
  /// True if the job is to be cancelled.
  [[nodiscard]] virtual base::Result<bool> report(std::uint64_t id, const std::string& progress,
                                                  base::Deadline deadline) = 0;
  /// Ends the job in one of the final states; `error` is empty but for kFailed.
  [[nodiscard]] virtual base::Result<void> finish(std::uint64_t id, JobState state,
                                                  const std::string& progress, const std::string& error,
                                                  base::Deadline deadline) = 0;
};

/// Thread-safe. Errors of every call: kUnavailable.
class JobStore {
 public:
  virtual ~JobStore() = default;

  /// Adds a running job. Errors: also kConflict, naming the job that is running already.
  [[nodiscard]] virtual base::Result<Job> submit(const std::string& kind, const std::string& parameters,
                                                 base::Deadline deadline) = 0;
  /// Errors: also kNotFound.
  [[nodiscard]] virtual base::Result<Job> job(std::uint64_t id, base::Deadline deadline) = 0;
  /// The latest first.
  [[nodiscard]] virtual base::Result<std::vector<Job>> jobs(std::size_t count_max,
                                                            base::Deadline deadline) = 0;
  /// Asks a running job to end; it does so when it can. Errors: also kNotFound, kConflict (it has ended).
  [[nodiscard]] virtual base::Result<Job> request_cancel(std::uint64_t id, base::Deadline deadline) = 0;

  /// Errors: also kConflict (another process has the right).
  [[nodiscard]] virtual base::Result<std::unique_ptr<JobLease>> acquire(base::Deadline deadline) = 0;
};

}  // namespace millrace::ports
