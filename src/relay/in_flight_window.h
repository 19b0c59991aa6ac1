// The rows of one lease that were sent and are not yet marked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_set>
#include <vector>

namespace millrace::relay {

/// Bounds what a crash makes the relay send again. Appends are acknowledged in the order in which they were
/// added, and marked in that order. Not thread-safe; no clock, no calls.
class InFlightWindow {
 public:
  /// `rows_max` (at least 1) bounds the rows, `appends_max` the appends.
  InFlightWindow(std::size_t rows_max, std::size_t appends_max);

  /// The rows that are read and sent at a time: half of the window, so that the next are on their way while
  /// the answer to these is awaited.
  [[nodiscard]] std::size_t portion() const { return portion_; }
  /// There is room for a portion.
  [[nodiscard]] bool may_send() const;
  /// There is no room for a portion because of the rows in it.
  [[nodiscard]] bool is_full() const;

  /// One append, whose ids rise and are not in the window; not empty.
  void add(std::vector<std::uint64_t> ids);
  /// The oldest append that was not acknowledged is.
  void on_ack();
  /// The ids of all appends that are acknowledged.
  [[nodiscard]] std::vector<std::uint64_t> markable() const;
  /// Takes the appends that are acknowledged out of the window.
  void on_marked();
  /// Empties the window; the ids that were in it stay unmarked in the outbox.
  std::unordered_set<std::uint64_t> drop();

  [[nodiscard]] bool empty() const { return appends_.empty(); }
  [[nodiscard]] bool has_markable() const { return acknowledged_ > 0; }
  [[nodiscard]] bool all_acknowledged() const { return acknowledged_ == appends_.size(); }
  [[nodiscard]] std::size_t rows() const { return ids_.size(); }
  [[nodiscard]] bool contains(std::uint64_t id) const { return ids_.contains(id); }
  /// The highest id in the window; 0 when it is empty.
  [[nodiscard]] std::uint64_t last_id() const;

 private:
  const std::size_t rows_max_;
  const std::size_t appends_max_;
  const std::size_t portion_;
  std::deque<std::vector<std::uint64_t>> appends_;  // oldest first
  std::size_t acknowledged_ = 0;                    // of them, the first so many
  std::unordered_set<std::uint64_t> ids_;
};

}  // namespace millrace::relay
