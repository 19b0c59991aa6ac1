// Whether groups catch up or fall behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/utc_time.h"
#include "ports/log_inspector.h"

namespace millrace::inspect {

struct LagSample {
  base::UtcTime at;
  std::int64_t lag = 0;  ///< Records, over all partitions of the group.
  friend bool operator==(const LagSample&, const LagSample&) = default;
};

enum class Direction {
  kUnknown,  ///< Too few samples yet.
  kSteady,
  kGrowing,
  kShrinking,
};
[[nodiscard]] std::string_view to_string(Direction direction);

struct Trend {
  Direction direction = Direction::kUnknown;
  double records_per_second = 0;   ///< By which the lag changed over the last 30 s; below 0: it shrank.
  std::vector<LagSample> samples;  ///< Oldest first.
};

/// Of samples, oldest first: the straight line through the last 30 s of them (least squares). A change that
/// is smaller than 10 records or than the samples scatter around the line is none, and what has caught up
/// (fewer than 10 records are left) shrinks no more.
[[nodiscard]] Trend trend_of(std::span<const LagSample> samples);

/// Keeps the last kSamplesMax samples of at most kGroupsMax groups. Thread-safe.
class LagHistory {
 public:
  static constexpr std::size_t kSamplesMax = 120;
  static constexpr std::size_t kGroupsMax = 500;

  /// Groups that are not among them are forgotten.
  void add(base::UtcTime at, std::span<const ports::GroupState> groups);
  [[nodiscard]] Trend trend(const std::string& group) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::deque<LagSample>> samples_;  // guarded by mutex_
};

}  // namespace millrace::inspect
