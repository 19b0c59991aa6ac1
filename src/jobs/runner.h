// Executes the running job, at the start of the process too.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <string>

#include "base/outage_notes.h"
#include "base/result.h"
#include "base/stop.h"
#include "jobs/handler.h"
#include "ports/job_store.h"

namespace millrace::jobs {

struct RunnerOptions {
  std::chrono::milliseconds poll_interval{1'000};  ///< Between looks for a new job, unless woken.
  std::chrono::milliseconds report_interval{500};  ///< Between reports of progress.
  std::chrono::milliseconds pause_first{500};      ///< After an attempt that met an outage; grows.
  std::chrono::milliseconds pause_longest{10'000};
  std::chrono::milliseconds call_timeout{10'000};  ///< Of one call to the store.
  std::chrono::milliseconds standby_interval{
      2'000};  ///< Between attempts to get the right from another process.
};

/// One caller thread for `run`; `wake` from any. What it is given must outlive it.
class Runner {
 public:
  Runner(ports::JobStore& store, std::map<std::string, Handler*> handlers, RunnerOptions options = {})
      : store_(store), handlers_(std::move(handlers)), options_(options) {}

  /// Until `stop`. A job that is running then stays so, for the next start. Waits out outages of the store.
  /// Errors: kFatal (refused credentials).
  [[nodiscard]] base::Result<void> run(const base::StopSignal& stop);

  /// A job was added: no need to wait for the next look.
  void wake() { bell_.ring(); }

 private:
  class LiveAttempt;
  [[nodiscard]] base::Result<void> serve(ports::JobLease& lease, const base::StopSignal& stop);
  [[nodiscard]] base::Result<void> execute(ports::JobLease& lease, const ports::Job& job, Handler& handler,
                                           const base::StopSignal& stop);
  template <class Work>
  [[nodiscard]] base::Result<void> beside_reports(LiveAttempt& attempt, const base::StopSignal& stop,
                                                  Work work);

  ports::JobStore& store_;
  const std::map<std::string, Handler*> handlers_;
  const RunnerOptions options_;
  base::WakeBell bell_;
  base::OutageNotes outage_;
};

}  // namespace millrace::jobs
