// What an outage is worth in the log: said once, remembered now and then, and its end.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "base/result.h"
#include "base/scheduler.h"
#include "base/stage_health.h"

namespace millrace::base {

/// One caller; not thread-safe.
class OutageLogger {
 public:
  /// `health`, which may be null, learns of the outage and of its end; it must outlive this.
  explicit OutageLogger(std::chrono::milliseconds reminder = std::chrono::minutes(5),
                        StageHealth* health = nullptr)
      : reminder_(reminder), health_(health) {}

  /// True if this failed attempt is worth a line: the first of the outage, one of another kind or vendor code
  /// than before in it, or one after a reminder's time of silence.
  [[nodiscard]] bool should_log(const Error& error) {
    if (health_ != nullptr) health_->set_waiting(error);
    const auto now = monotonic_now();
    if (!since_) since_ = now;
    const bool is_new = seen_.emplace(error.kind, error.vendor_code).second;
    if (!is_new && now - said_ < reminder_) return false;
    said_ = now;
    return true;
  }

  /// How long it has lasted so far; 0 when there is none.
  [[nodiscard]] std::chrono::seconds lasting() const {
    return since_ ? std::chrono::duration_cast<std::chrono::seconds>(monotonic_now() - *since_)
                  : std::chrono::seconds(0);
  }

  /// An attempt went through: how long the outage lasted, if there was one.
  std::optional<std::chrono::seconds> over() {
    if (!since_) return std::nullopt;
    if (health_ != nullptr) health_->set_running();
    const auto lasted = lasting();
    since_.reset();
    seen_.clear();
    return lasted;
  }

 private:
  const std::chrono::milliseconds reminder_;
  StageHealth* const health_;
  std::optional<Scheduler::Moment> since_;
  Scheduler::Moment said_{};
  std::set<std::pair<ErrorKind, int>> seen_;  // in this outage
};

}  // namespace millrace::base
