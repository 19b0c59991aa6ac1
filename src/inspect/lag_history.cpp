#include "inspect/lag_history.h"

#include <algorithm>
#include <cmath>

namespace millrace::inspect {
namespace {

constexpr std::chrono::seconds kTrendSpan{30};
constexpr std::size_t kTrendSamplesMin = 3;
constexpr double kChangeMin = 10;  // records: what is in flight at any moment
constexpr double kScatterFactor = 2;

}  // namespace

std::string_view to_string(Direction direction) {
  switch (direction) {
    case Direction::kUnknown:
      return "unknown";
    case Direction::kSteady:
      return "steady";
    case Direction::kGrowing:
      return "growing";
    case Direction::kShrinking:
      return "shrinking";
  }
  return "unknown";
}

Trend trend_of(std::span<const LagSample> samples) {
  Trend trend;
  trend.samples.assign(samples.begin(), samples.end());
  if (samples.empty()) return trend;
  const base::UtcTime last = samples.back().at;
  while (!samples.empty() && samples.front().at < last - kTrendSpan) samples = samples.subspan(1);
  const double span = std::chrono::duration<double>(last - samples.front().at).count();
  if (samples.size() < kTrendSamplesMin || span <= 0) return trend;

  const auto count = static_cast<double>(samples.size());
  const auto seconds = [&](const LagSample& sample) {
    return std::chrono::duration<double>(sample.at - samples.front().at).count();
  };
  double time_mean = 0;
  double lag_mean = 0;
  for (const LagSample& sample : samples) {
    time_mean += seconds(sample) / count;
    lag_mean += static_cast<double>(sample.lag) / count;
  }
  double both = 0;
  double times = 0;
  for (const LagSample& sample : samples) {
    const double time = seconds(sample) - time_mean;
    both += time * (static_cast<double>(sample.lag) - lag_mean);
    times += time * time;
  }
  trend.records_per_second = both / times;
  double scatter = 0;
  for (const LagSample& sample : samples) {
    const double expected = lag_mean + trend.records_per_second * (seconds(sample) - time_mean);
    scatter += std::pow(static_cast<double>(sample.lag) - expected, 2) / count;
  }
  const double change = trend.records_per_second * span;
  const bool has_caught_up = change < 0 && static_cast<double>(samples.back().lag) < kChangeMin;
  if (has_caught_up || std::abs(change) < std::max(kChangeMin, kScatterFactor * std::sqrt(scatter)))
    trend.direction = Direction::kSteady;
  else
    trend.direction = change > 0 ? Direction::kGrowing : Direction::kShrinking;
  return trend;
}

void LagHistory::add(base::UtcTime at, std::span<const ports::GroupState> groups) {
  const std::lock_guard lock(mutex_);
  std::erase_if(samples_, [&](const auto& entry) {
    return std::ranges::find(groups, entry.first, &ports::GroupState::group) == groups.end();
  });
  for (const ports::GroupState& group : groups) {
    if (samples_.size() >= kGroupsMax && !samples_.contains(group.group)) continue;
    auto& samples = samples_[group.group];
    // A clock that was set back must not bend the line.
    if (!samples.empty() && samples.back().at >= at) samples.clear();
    samples.push_back({at, group.lag()});
    if (samples.size() > kSamplesMax) samples.pop_front();
  }
}

Trend LagHistory::trend(const std::string& group) const {
  const std::lock_guard lock(mutex_);
  const auto found = samples_.find(group);
  if (found == samples_.end()) return {};
  const std::vector<LagSample> samples(found->second.begin(), found->second.end());
  return trend_of(samples);
}

}  // namespace millrace::inspect
