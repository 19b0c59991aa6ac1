#include "app/wiring/stage_runner.h"

#include <exception>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/thread_name.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kReminder{5 * 60'000};
// A run that lasted so long was a good one: the pauses begin anew.
constexpr std::chrono::minutes kGoodRun{1};

}  // namespace

std::string_view to_string(StageState state) {
  switch (state) {
    case StageState::kRunning:
      return "running";
    case StageState::kWaiting:
      return "waiting";
    case StageState::kFailed:
      return "failed";
    case StageState::kEnded:
      break;
  }
  return "ended";
}

StageRunner::StageRunner(std::string stage, Work work, const base::StageHealth* health,
                         StageRunnerOptions options)
    : stage_(std::move(stage)), work_(std::move(work)), health_(health), options_(options) {
  thread_ = std::thread([this] { run(); });
}

StageRunner::~StageRunner() {
  stop_.request();
  thread_.join();
}

StageStatus StageRunner::status() const {
  const std::lock_guard lock(mutex_);
  StageStatus status{stage_, StageState::kRunning, {}, restarts_};
  if (ended_.requested()) {
    status.state = StageState::kEnded;
  } else if (!failure_.empty() && (is_pausing_ || !settled_by_.passed())) {
    status.state = StageState::kFailed;
    status.reason = failure_;
  } else if (const auto reason = health_ != nullptr ? health_->waiting_for() : std::nullopt) {
    status.state = StageState::kWaiting;
    status.reason = *reason;
  }
  return status;
}

bool StageRunner::wait_for_end(base::Deadline deadline) const {
  return ended_.wait_for(deadline.left());
}

base::Result<void> StageRunner::run_once(bool& has_thrown) {
  has_thrown = true;
  try {
    auto ended = work_(stop_);
    has_thrown = false;
    return ended;
  } catch (const std::exception& failure) {
    return base::fatal(fmt::format("an exception: {}; this is a bug, please report it", failure.what()));
  } catch (...) {
    return base::fatal("an exception of an unknown type; this is a bug, please report it");
  }
}

void StageRunner::run() {
  base::name_this_thread(stage_);
  base::Backoff backoff(options_.restart_first, options_.restart_max);
  base::OutageLogger failures(kReminder);
  while (!stop_.requested()) {
    const auto begun = base::monotonic_now();
    bool has_thrown = false;
    const auto ended = run_once(has_thrown);
    if (ended) break;
    const bool has_refused = ended.error().vendor_code == 0 && !has_thrown;
    if (base::monotonic_now() - begun > kGoodRun) {
      backoff.reset();
      failures.over();
    }
    if (failures.should_log(ended.error()))
      spdlog::error("{}: {}; the stage is stopped{}", stage_, ended.error().message,
                    has_refused ? "" : " and is tried again now and then");
    {
      const std::lock_guard lock(mutex_);
      failure_ = base::public_message(ended.error());
      is_pausing_ = true;
    }
    if (has_refused) {
      retry_.wait_for(std::chrono::milliseconds(0));  // one that came before says nothing about this failure
      while (!stop_.requested() && !retry_.wait_for(kReminder)) {
      }
    } else {
      stop_.wait_for(backoff.next());
    }
    if (stop_.requested()) break;
    const std::lock_guard lock(mutex_);
    is_pausing_ = false;
    settled_by_ = base::Deadline::in(options_.settle_time);
    ++restarts_;
  }
  ended_.request();
}

}  // namespace millrace::app
