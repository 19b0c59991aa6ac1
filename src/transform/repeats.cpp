#include "transform/repeats.h"

#include <algorithm>

namespace millrace::transform {

bool RepeatWindow::came_again(const Entry& entry) const {
  const auto last = last_offsets_.find(entry.event_id);
  return last == last_offsets_.end() || last->second != entry.offset;
}

Verdict RepeatWindow::take(std::int64_t offset, std::uint64_t event_id, std::uint64_t epoch) {
  if (epoch < epoch_) return Verdict::kFormerOwner;
  epoch_ = epoch;
  entries_.push_back({event_id, offset});
  const bool fresh = last_offsets_.insert_or_assign(event_id, offset).second;
  if (last_offsets_.size() > ids_max_) last_offsets_.erase(entries_.front().event_id);
  while (came_again(entries_.front())) entries_.pop_front();
  // Ids that come again and again leave entries behind that mean nothing.
  if (entries_.size() > 2 * ids_max_ + 16)
    std::erase_if(entries_, [this](const Entry& entry) { return came_again(entry); });
  return fresh ? Verdict::kKeep : Verdict::kRepeat;
}

std::optional<std::int64_t> RepeatWindow::start_offset() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.front().offset;
}

}  // namespace millrace::transform
