// What people ask of the whole pipeline, in any process that reaches the order store, the warehouse and the
// event log: dead letters, jobs, scheduled verification, a look at the log.
#pragma once

#include <functional>
#include <memory>

#include "api/api.h"
#include "app/jobs.h"
#include "app/neighbours.h"
#include "app/verify_schedule.h"
#include "base/result.h"
#include "inspect/log_view.h"
#include "letters/letters.h"
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
    /// Called when jobs can no longer be executed here.
    std::function<void(const base::Error&)> on_refusal = [](const base::Error&) {};
  };

  /// Connects when first used. Errors: kFatal.
  [[nodiscard]] static base::Result<std::unique_ptr<Operations>> start(const Settings& settings,
                                                                       Neighbours& neighbours,
                                                                       ports::EventLog& log,
                                                                       ports::LogInspector& inspector,
                                                                       Options options);
  ~Operations() { stop(); }
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  [[nodiscard]] letters::Letters& letters() { return *letters_; }
  [[nodiscard]] Jobs& jobs() { return *jobs_; }
  [[nodiscard]] const VerifySchedule* verify() const { return verify_.get(); }
  /// For the API: dead letters, jobs, the log; without metrics.
  [[nodiscard]] api::PipelineParts parts() {
    return {.letters = letters_.get(), .jobs = &jobs_->service(), .log = log_view_.get()};
  }
  /// A running job and the rest go on elsewhere. Within the time of one call to a neighbour.
  void stop();

 private:
  Operations() = default;
  std::unique_ptr<sink::WarehouseTables> tables_;
  std::unique_ptr<letters::Letters> letters_;
  std::unique_ptr<Jobs> jobs_;
  std::unique_ptr<inspect::LogView> log_view_;
  std::unique_ptr<VerifySchedule> verify_;
};

}  // namespace millrace::app
