// The jobs of a process that runs the pipeline: taken at a desk, carried out on a thread.
#pragma once

#include <memory>
#include <optional>

#include "app/wiring/dependencies.h"
#include "app/wiring/pipeline.h"
#include "app/wiring/stage_runner.h"
#include "base/result.h"
#include "jobs/desk.h"
#include "jobs/runner.h"
#include "ports/job_store.h"
#include "rebuild/rebuild.h"
#include "rebuild/replay.h"

namespace millrace::app {

/// The kinds of jobs there are, with the reading of their parameters.
[[nodiscard]] std::map<std::string, jobs::Check> job_checks();

/// The job that is to be carried out from the start on, or nothing. Errors: kUnavailable.
[[nodiscard]] base::Result<std::optional<ports::Job>> running_job(Dependencies& dependencies);

/// Starts its thread when made; joins it when stopped or destroyed. What it is given must outlive it.
class Jobs {
 public:
  /// Errors: kFatal.
  [[nodiscard]] static base::Result<std::unique_ptr<Jobs>> start(const Settings& settings,
                                                                 Dependencies& dependencies,
                                                                 Pipeline& pipeline);
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  [[nodiscard]] jobs::Desk& desk() { return *desk_; }
  /// A running job stays so; the next start goes on with it. True if the runner has ended by the deadline;
  /// the destructor waits without one.
  bool stop(base::Deadline deadline);
  [[nodiscard]] StageStatus status() const { return thread_->status(); }

 private:
  Jobs() = default;
  std::unique_ptr<rebuild::Rebuild> rebuild_;
  std::unique_ptr<rebuild::Replay> replay_;
  std::unique_ptr<jobs::Runner> runner_;
  std::unique_ptr<jobs::Desk> desk_;
  std::unique_ptr<StageRunner> thread_;
};

}  // namespace millrace::app
