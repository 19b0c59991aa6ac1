#include "tools/visible_orders.h"

#include <algorithm>

namespace millrace::tools {

void VisibleOrders::add(Change change) {
  if (changes_.size() >= changes_max_) take_first();
  changes_.push_back(change);
  if (change.by > 0) ++waiting_;
}

VisibleOrders::Change VisibleOrders::take_first() {
  const Change first = changes_.front();
  changes_.pop_front();
  count_ += first.by;
  if (first.by > 0) --waiting_;
  return first;
}

std::vector<double> VisibleOrders::on_count(std::uint64_t counted, Clock::time_point now, bool is_all) {
  const auto seen = static_cast<std::int64_t>(counted);
  // Several runs of changes may lead to this count. The shortest calls no order visible too early.
  std::int64_t after = count_;
  std::int64_t highest = count_;
  std::size_t visible = 0;
  for (std::size_t i = 0; i < changes_.size() && (is_all || after != seen); ++i) {
    after += changes_[i].by;
    highest = std::max(highest, after);
    if (after == seen) visible = i + 1;
  }
  // What is not answered yet may be counted already.
  if (seen > highest) visible = changes_.size();
  std::vector<double> waited;
  for (; visible > 0; --visible) {
    const Change change = take_first();
    if (change.by > 0)
      waited.push_back(
          std::max(0.0, std::chrono::duration<double, std::milli>(now - change.answered).count()));
  }
  return waited;
}

}  // namespace millrace::tools
