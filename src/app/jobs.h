// The jobs of a process: submitted to the order store, executed on a thread here while no other process does.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "app/neighbours.h"
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
[[nodiscard]] base::Result<std::optional<ports::Job>> running_job(Neighbours& neighbours);

/// Of all processes that have one of these on the same order store, one executes the jobs (it holds a named
/// lock there), and the others wait to take over. Starts its threads when made; joins them when stopped or
/// destroyed. What it is given must outlive it.
class Jobs {
 public:
  /// `hold` is called with true while a job is running in whichever process, within about a second; none:
  /// nothing here has to rest then. `on_refusal` is called when jobs can no longer be executed. Errors:
  /// kFatal.
  [[nodiscard]] static base::Result<std::unique_ptr<Jobs>> start(
      const Settings& settings, Neighbours& neighbours, ports::EventLog& log, sink::SinkTables& tables,
      rebuild::Hold hold, std::function<void(const base::Error&)> on_refusal);
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  [[nodiscard]] jobs::JobService& service() { return *service_; }
  /// A running job stays so; another process, or the next start, goes on with it.
  void stop();

 private:
  Jobs(Neighbours& neighbours, rebuild::Hold hold) : neighbours_(neighbours), hold_(std::move(hold)) {}
  /// Until stopped: holds while another process executes a job.
  void watch();
  void update_hold() { hold_(runs_here_ || runs_elsewhere_); }

  Neighbours& neighbours_;
  const rebuild::Hold hold_;
  std::atomic<bool> runs_here_ = false;
  std::atomic<bool> runs_elsewhere_ = false;
  std::unique_ptr<rebuild::Rebuild> rebuild_;
  std::unique_ptr<rebuild::Replay> replay_;
  std::unique_ptr<jobs::Runner> runner_;
  std::unique_ptr<jobs::JobService> service_;
  base::StopSignal stop_;
  std::thread thread_;
  std::thread watch_;
};

}  // namespace millrace::app
