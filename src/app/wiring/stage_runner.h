// Runs one stage of the pipeline for as long as the process lives.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/deadline.h"
#include "base/outage_logger.h"
#include "base/result.h"
#include "base/stage_health.h"
#include "base/stop.h"

namespace millrace::app {

enum class StageState {
  kRunning,
  kWaiting,  ///< For a system that is unavailable; it goes on by itself.
  kFailed,   ///< It cannot go on until somebody mends what the reason says; it is tried again now and then.
  kEnded,    ///< Stopped, or done.
};

[[nodiscard]] std::string_view to_string(StageState state);

struct StageStatus {
  std::string stage;
  StageState state = StageState::kWaiting;
  std::string reason;  ///< Why it waits or failed, with the cure, in words that a client may be told.
  std::uint64_t restarts = 0;
};

struct StageRunnerOptions {
  std::chrono::milliseconds restart_first{1'000};
  std::chrono::milliseconds restart_max{30'000};
  /// A stage that has run for so long since its restart counts as running; before, as failed.
  std::chrono::milliseconds settle_time{3'000};
};

/// What a stage does when it fails is not the business of the others. Where a server or an exception stopped
/// it, it is started again after a growing pause, without end. Where it refused by itself,
/// because going on would break a promise (a topic was recreated, a position lies beyond the log's end), it
/// stays failed until `retry`: left to itself it could go on as soon as new records have taken the place of
/// lost ones. Owns its thread.
class StageRunner {
 public:
  using Work = std::function<base::Result<void>(const base::StopSignal&)>;

  /// `work` runs until its stop signal, or ends with an error; called again it goes on. An exception counts
  /// as an error. `health` may be null; it and what `work` uses must outlive the runner.
  StageRunner(std::string stage, Work work, const base::StageHealth* health = nullptr,
              StageRunnerOptions options = {});
  ~StageRunner();
  StageRunner(const StageRunner&) = delete;
  StageRunner& operator=(const StageRunner&) = delete;

  /// Any thread.
  [[nodiscard]] StageStatus status() const;

  /// What made the stage refuse may be over: a rebuild has replaced the tables. Any thread.
  void retry() { retry_.notify(); }

  void request_stop() {
    stop_.request();
    retry_.notify();
  }
  /// True if the stage has ended by the deadline. The destructor waits without one.
  [[nodiscard]] bool wait_for_end(base::Deadline deadline) const;

 private:
  void run();
  [[nodiscard]] base::Result<void> run_once(bool& has_thrown);

  const std::string stage_;
  const Work work_;
  const base::StageHealth* const health_;
  const StageRunnerOptions options_;
  base::StopSignal stop_;
  base::StopSignal ended_;
  base::WakeEvent retry_;
  mutable std::mutex mutex_;
  std::string failure_;      // of the last run; empty: it has not failed; guarded by mutex_
  bool is_pausing_ = false;  // before the next run; guarded by mutex_
  base::Deadline settled_by_ = base::Deadline::in(std::chrono::milliseconds(0));  // guarded by mutex_
  std::uint64_t restarts_ = 0;                                                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace millrace::app
