#include "transform/repeats.h"

namespace millrace::transform {

Verdict RepeatWindow::take(std::uint64_t event_id, std::uint64_t epoch) {
  if (epoch < epoch_) {
    push(std::nullopt);
    return Verdict::kFormerOwner;
  }
  epoch_ = epoch;
  const bool repeat = copies_.contains(event_id);
  push(event_id);
  return repeat ? Verdict::kRepeat : Verdict::kKeep;
}

void RepeatWindow::take_unreadable() {
  push(std::nullopt);
}

void RepeatWindow::push(std::optional<std::uint64_t> event_id) {
  entries_.push_back({event_id, epoch_});
  if (event_id) ++copies_[*event_id];
  if (entries_.size() <= records_max_) return;
  const Entry& oldest = entries_.front();
  if (oldest.event_id) {
    const auto copies = copies_.find(*oldest.event_id);
    if (--copies->second == 0) copies_.erase(copies);
  }
  start_epoch_ = oldest.epoch_after;
  entries_.pop_front();
}

}  // namespace millrace::transform
