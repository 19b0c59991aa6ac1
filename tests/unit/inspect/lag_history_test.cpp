#include "inspect/lag_history.h"

#include <gtest/gtest.h>

namespace millrace::inspect {
namespace {

base::UtcTime at(std::int64_t seconds) {
  return base::utc_from_ms(1'700'000'000'000 + seconds * 1'000);
}

/// One every 5 s.
std::vector<LagSample> samples_of(const std::vector<std::int64_t>& lags) {
  std::vector<LagSample> samples;
  for (std::size_t i = 0; i < lags.size(); ++i)
    samples.push_back({at(static_cast<std::int64_t>(i) * 5), lags[i]});
  return samples;
}

ports::GroupState group_of(const std::string& name, std::int64_t lag) {
  ports::GroupState group;
  group.group = name;
  group.partitions.push_back({{"topic", 0}, 100, 100 + lag});
  return group;
}

TEST(LagTrend, IsNotKnownBeforeThreeSamples) {
  EXPECT_EQ(trend_of({}).direction, Direction::kUnknown);
  EXPECT_EQ(trend_of(samples_of({0, 1'000})).direction, Direction::kUnknown);
}

TEST(LagTrend, GrowsWithTheSpeedOfTheLine) {
  const Trend trend = trend_of(samples_of({0, 500, 1'000, 1'500}));
  EXPECT_EQ(trend.direction, Direction::kGrowing);
  EXPECT_NEAR(trend.records_per_second, 100, 0.001);
}

TEST(LagTrend, ShrinksAlsoWhenTheLagIsHugeAgainstTheChange) {
  const Trend trend = trend_of(samples_of({1'000'000, 999'900, 999'800, 999'700}));
  EXPECT_EQ(trend.direction, Direction::kShrinking);
  EXPECT_NEAR(trend.records_per_second, -20, 0.001);
}

TEST(LagTrend, IsSteadyWhileAFewRecordsAreOnTheirWay) {
  EXPECT_EQ(trend_of(samples_of({0, 3, 1, 4, 0, 6})).direction, Direction::kSteady);
}

TEST(LagTrend, IsSteadyWhenTheLagOnlyScatters) {
  EXPECT_EQ(trend_of(samples_of({900, 20, 850, 10, 990, 15, 800, 30})).direction, Direction::kSteady);
}

TEST(LagTrend, IsSteadyOnceTheGroupHasCaughtUp) {
  EXPECT_EQ(trend_of(samples_of({400, 300, 200, 100, 4})).direction, Direction::kSteady);
}

TEST(LagTrend, ForgetsWhatIsOlderThanHalfAMinute) {
  std::vector<std::int64_t> lags(20, 0);
  for (std::int64_t lag = 0; lag < 13; ++lag) lags.push_back(10'000 - lag * 500);
  EXPECT_EQ(trend_of(samples_of(lags)).direction, Direction::kShrinking);
}

TEST(LagHistory, KeepsABoundedNumberOfSamplesAndForgetsGroupsThatAreGone) {
  LagHistory history;
  for (std::int64_t i = 0; i < 500; ++i) {
    const std::vector groups{group_of("kept", i), group_of("gone", i)};
    history.add(at(i * 5), i < 499 ? std::span(groups) : std::span(groups).first(1));
  }
  const Trend kept = history.trend("kept");
  ASSERT_EQ(kept.samples.size(), LagHistory::kSamplesMax);
  EXPECT_EQ(kept.samples.back(), (LagSample{at(499 * 5), 499}));
  EXPECT_TRUE(history.trend("gone").samples.empty());
}

TEST(LagHistory, BeginsAnewWhenTheClockWasSetBack) {
  LagHistory history;
  const std::vector groups{group_of("group", 7)};
  history.add(at(100), groups);
  history.add(at(50), groups);
  EXPECT_EQ(history.trend("group").samples, (std::vector<LagSample>{{at(50), 7}}));
}

}  // namespace
}  // namespace millrace::inspect
