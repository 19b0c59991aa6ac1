// The jobs of a process that runs the pipeline: taken at a desk, carried out on a thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "app/neighbours.h"
#include "app/pipeline.h"
#include "base/result.h"
#include "base/stop.h"
#include "jobs/desk.h"
#include "jobs/runner.h"
#include "ports/job_store.h"
#include "rebuild/rebuild.h"
#include "rebuild/replay.h"

namespace millrace::app {

/// The kinds of jobs there are, with the reading of their parameters.
[[nodiscard]] std::map<std::string, jobs::Check> job_checks();

/// The job that is to be carried out from the start on, or nothing. Errors: kUnavailable.
[[nodiscard]] base::Result<std::optional<ports::Job>> running_job(Neighbours& neighbours);

/// Starts its thread when made; joins it when stopped or destroyed. What it is given must outlive it.
class Jobs {
 public:
  /// `on_refusal` is called when jobs can no longer be carried out. Errors: kFatal.
  [[nodiscard]] static base::Result<std::unique_ptr<Jobs>> start(
      const Settings& settings, Neighbours& neighbours, Pipeline& pipeline,
      std::function<void(const base::Error&)> on_refusal);
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  [[nodiscard]] jobs::Desk& desk() { return *desk_; }
  /// A running job stays so; the next start goes on with it.
  void stop();

 private:
  Jobs() = default;
  std::unique_ptr<rebuild::Rebuild> rebuild_;
  std::unique_ptr<rebuild::Replay> replay_;
  std::unique_ptr<jobs::Runner> runner_;
  std::unique_ptr<jobs::Desk> desk_;
  base::StopSignal stop_;
  std::thread thread_;
};

}  // namespace millrace::app
