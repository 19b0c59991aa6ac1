#include "relay/in_flight_window.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace millrace::relay {

InFlightWindow::InFlightWindow(std::size_t rows_max, std::size_t appends_max)
    : rows_max_(rows_max), appends_max_(appends_max), portion_(std::max<std::size_t>(1, rows_max / 2)) {}

bool InFlightWindow::is_full() const {
  return rows_max_ < ids_.size() + portion_;
}

bool InFlightWindow::may_send() const {
  return appends_.size() < appends_max_ && !is_full();
}

void InFlightWindow::add(std::vector<std::uint64_t> ids) {
  MILLRACE_ASSERT(!ids.empty());
  ids_.insert(ids.begin(), ids.end());
  appends_.push_back(std::move(ids));
}

void InFlightWindow::on_ack() {
  MILLRACE_ASSERT(acknowledged_ < appends_.size());
  ++acknowledged_;
}

std::vector<std::uint64_t> InFlightWindow::markable() const {
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < acknowledged_; ++i)
    ids.insert(ids.end(), appends_[i].begin(), appends_[i].end());
  return ids;
}

void InFlightWindow::on_marked() {
  for (; acknowledged_ > 0; --acknowledged_) {
    for (const std::uint64_t id : appends_.front()) ids_.erase(id);
    appends_.pop_front();
  }
}

std::unordered_set<std::uint64_t> InFlightWindow::drop() {
  appends_.clear();
  acknowledged_ = 0;
  return std::exchange(ids_, {});
}

std::uint64_t InFlightWindow::last_id() const {
  std::uint64_t last = 0;
  for (const auto& append : appends_) last = std::max(last, append.back());
  return last;
}

}  // namespace millrace::relay
