// The jobs of a process: submitted to the order store, executed on a thread here while no other process does.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "app/wiring/dependencies.h"
#include "app/wiring/stage_runner.h"
#include "base/result.h"
#include "base/stop.h"
#include "jobs/job_service.h"
#include "jobs/runner.h"
#include "ports/job_store.h"
#include "rebuild/rebuild.h"
#include "rebuild/replay.h"
#include "sink/tables.h"

namespace millrace::app {

/// The kinds of jobs there are, with the reading of their parameters.
[[nodiscard]] std::map<std::string, jobs::Check> job_checks();

/// The job that is to be executed from the start on, or nothing. Errors: kUnavailable.
[[nodiscard]] base::Result<std::optional<ports::Job>> running_job(Dependencies& dependencies);

/// Of all processes that have one of these on the same order store, one executes the jobs (it holds a named
/// lock there), and the others wait to take over. Starts its threads when made; joins them when stopped or
/// destroyed. What it is given must outlive it.
class Jobs {
 public:
  /// `hold` is called with true while a job is running in whichever process, within about a second; none:
  /// nothing here has to rest then. Errors: kFatal.
  [[nodiscard]] static base::Result<std::unique_ptr<Jobs>> start(const Settings& settings,
                                                                 Dependencies& dependencies,
                                                                 ports::EventLog& log,
                                                                 sink::SinkTables& tables,
                                                                 rebuild::Hold hold);
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  [[nodiscard]] jobs::JobService& service() { return *service_; }
  /// A running job stays so; another process, or the next start, resumes it. True if the execution has ended
  /// by the deadline; the destructor waits without one.
  bool stop(base::Deadline deadline);
  [[nodiscard]] StageStatus status() const { return execution_->status(); }

 private:
  Jobs(Dependencies& dependencies, rebuild::Hold hold)
      : dependencies_(dependencies), hold_(std::move(hold)) {}
  /// Until stopped: holds while another process executes a job.
  void watch();
  void update_hold() { hold_(runs_here_ || runs_elsewhere_); }

  Dependencies& dependencies_;
  const rebuild::Hold hold_;
  std::atomic<bool> runs_here_ = false;
  std::atomic<bool> runs_elsewhere_ = false;
  std::unique_ptr<rebuild::Rebuild> rebuild_;
  std::unique_ptr<rebuild::Replay> replay_;
  std::unique_ptr<jobs::Runner> runner_;
  std::unique_ptr<jobs::JobService> service_;
  base::StopSignal stop_;
  std::thread watch_;
  std::unique_ptr<StageRunner> execution_;  // destroyed first
};

}  // namespace millrace::app
