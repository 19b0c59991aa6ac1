// When the orders of a load become visible in the views, judged by their number of orders alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace millrace::tools {

/// Orders and deletions are taken to become visible in the order of their answers, so the views' count says
/// how many of them are there. A deletion takes its order off the count again; without it the count would
/// stay behind the number of orders made, by one for each deletion. One caller at a time.
class VisibleOrders {
 public:
  using Clock = std::chrono::steady_clock;

  /// `counted_before`: what the views counted before the first order. At most `changes_max` answers are kept;
  /// beyond them the oldest are not measured.
  explicit VisibleOrders(std::uint64_t counted_before, std::size_t changes_max = 1'000'000)
      : count_(static_cast<std::int64_t>(counted_before)), changes_max_(changes_max) {}

  void on_created(Clock::time_point answered) { add({.by = 1, .answered = answered}); }
  void on_deleted() { add({.by = -1, .answered = {}}); }

  /// The views counted `counted` orders at `now`. Returns the time from the answer to `now`, in milliseconds,
  /// of each order that is visible by this for the first time. Where an order and a later deletion cancel
  /// each other out, neither is taken to be visible before more comes, unless `is_all`: nothing more will.
  [[nodiscard]] std::vector<double> on_count(std::uint64_t counted, Clock::time_point now,
                                             bool is_all = false);

  /// Orders that are not yet visible. Constant time.
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

 private:
  struct Change {
    int by = 0;  // added to the count: 1 or -1
    Clock::time_point answered;
  };
  void add(Change change);
  Change take_first();

  std::deque<Change> changes_;  // answered and not yet visible, in the order of their answers
  std::int64_t count_;          // of the views when everything before changes_ is visible
  std::size_t waiting_ = 0;     // orders among changes_
  const std::size_t changes_max_;
};

}  // namespace millrace::tools
