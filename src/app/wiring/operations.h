// What people ask of the whole pipeline, in any process that reaches the order store, the warehouse and the
// event log: dead letters, jobs, scheduled verification, a look at the log.
#pragma once

#include <functional>
#include <memory>

#include "api/api.h"
#include "app/wiring/dependencies.h"
#include "app/wiring/jobs.h"
#include "app/wiring/verify_schedule.h"
#include "base/result.h"
#include "dead_letters/dead_letters.h"
#include "inspect/log_view.h"
#include "ports/event_log.h"
#include "ports/log_inspector.h"
#include "sink/tables.h"

namespace millrace::app {

/// Starts its threads when made; stops and joins them when stopped or destroyed. What it is given must
/// outlive it.
class Operations {
 public:
  struct Options {
    bool verifies = true;     ///< Takes part in scheduled verification.
    rebuild::Hold hold = {};  ///< See Jobs.
    /// Called when a replayed dead letter has put rows into the outbox, on any thread. None: the relay, which
    /// may be in another process, looks for them by itself.
    std::function<void()> on_replayed = [] {};
  };

  /// Connects when first used. Errors: kFatal.
  [[nodiscard]] static base::Result<std::unique_ptr<Operations>> start(const Settings& settings,
                                                                       Dependencies& dependencies,
                                                                       ports::EventLog& log,
                                                                       ports::LogInspector& inspector,
                                                                       Options options);
  ~Operations() { stop(base::Deadline::in(std::chrono::milliseconds(0))); }
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  [[nodiscard]] dead_letters::DeadLetters& letters() { return *letters_; }
  [[nodiscard]] Jobs& jobs() { return *jobs_; }
  [[nodiscard]] const VerifySchedule* verify() const { return verify_.get(); }
  /// For the API: dead letters, jobs, the log; without metrics.
  [[nodiscard]] api::PipelineParts parts() {
    return {.letters = letters_.get(), .jobs = &jobs_->service(), .log = log_view_.get()};
  }
  /// Asks a verification to end, ahead of `stop`, which waits for a job alone.
  void request_stop() {
    if (verify_) verify_->request_stop();
  }
  /// A running job and the rest go on elsewhere. True if all has ended by the deadline.
  bool stop(base::Deadline deadline);

 private:
  Operations() = default;
  std::unique_ptr<sink::WarehouseTables> tables_;
  std::unique_ptr<dead_letters::DeadLetters> letters_;
  std::unique_ptr<Jobs> jobs_;
  std::unique_ptr<inspect::LogView> log_view_;
  std::unique_ptr<VerifySchedule> verify_;
};

}  // namespace millrace::app
