// When the relay looks into the outbox again.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/deadline.h"

namespace millrace::relay {

/// Short pauses as long as rows came lately, then longer and longer ones. Not thread-safe.
class PollPacer {
 public:
  PollPacer(std::chrono::milliseconds interval_min, std::chrono::milliseconds interval_max)
      : interval_min_(interval_min), interval_max_(interval_max), pause_(interval_min) {}

  [[nodiscard]] bool is_due() const { return next_look_.passed(); }
  [[nodiscard]] std::chrono::milliseconds until_due() const { return next_look_.left(); }

  /// A look found fewer rows than it asked for: the next one comes with the next pause.
  void on_outbox_drained() { next_look_ = base::Deadline::in(interval_min_); }
  void on_rows_sent() { busy_until_ = base::Deadline::in(kBusyTime); }
  void on_work_done() { pause_ = interval_min_; }
  void look_now() { next_look_ = base::Deadline::in(std::chrono::milliseconds(0)); }

  /// How long to wait for a wake-up while nothing is in flight.
  [[nodiscard]] std::chrono::milliseconds idle_pause() {
    if (!busy_until_.passed()) pause_ = interval_min_;
    return pause_;
  }
  void on_idle_end(bool woken) {
    pause_ = woken ? interval_min_ : std::min(interval_max_, pause_ * 2);
    look_now();
  }

 private:
  // So long after a row the outbox is looked at in the shortest pauses.
  static constexpr std::chrono::milliseconds kBusyTime{1'000};

  const std::chrono::milliseconds interval_min_;
  const std::chrono::milliseconds interval_max_;
  std::chrono::milliseconds pause_;
  base::Deadline next_look_ = base::Deadline::in(std::chrono::milliseconds(0));
  base::Deadline busy_until_ = base::Deadline::in(std::chrono::milliseconds(0));
};

}  // namespace millrace::relay
