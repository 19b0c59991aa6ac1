#include "sink/rollups.h"

#include <map>

#include <gtest/gtest.h>

#include "sink/row_binary.h"

namespace millrace::sink {
namespace {

constexpr std::uint32_t kDay = 1'767'225'600;  // 2026-01-01
constexpr std::uint32_t kHour = kDay + 10 * 3'600;

domain::AnalyticsImage image(domain::OrderStatus status) {
  return {domain::UserId("u"),
          "u@example.com",
          base::utc_from_ms((std::int64_t{kHour} + 59) * 1000),
          *domain::Money::parse("12.50"),
          3,
          status,
          domain::PaymentMethod::kCash,
          domain::PaymentStatus::kPending,
          {{domain::ProductId("p"), "P", 1, *domain::Money::parse("2.5")},
           {domain::ProductId("p"), "P", 2, *domain::Money::parse("10")}}};
}

RollupMap<Sums> deltas_of(const domain::AnalyticsRow& row) {
  RollupMap<Sums> deltas;
  for_each_delta(row, [&](RollupKey key, const Sums& sums) { deltas[std::move(key)] += sums; });
  std::erase_if(deltas, [](const auto& entry) { return entry.second == Sums{}; });
  return deltas;
}

TEST(Deltas, OfACreationAddTheOrderToEveryDimension) {
  domain::AnalyticsRow row;
  row.current = image(domain::OrderStatus::kShipped);
  const auto amount = *domain::Money::parse("12.50");
  const RollupMap<Sums> expected = {
      {{Dimension::kHourStatus, "", kHour, "SHIPPED", ""}, {1, 0, 0, amount}},
      {{Dimension::kDayUser, "", kDay, "u", ""}, {0, 1, 0, {}}},
      {{Dimension::kUserDay, "u", kDay, "u@example.com", ""}, {1, 1, 0, amount}},
      {{Dimension::kDayProduct, "", kDay, "p", "P"}, {0, 0, 3, amount}}};
  EXPECT_EQ(deltas_of(row), expected);
}

TEST(Deltas, OfARefundMoveTheOrderAndTakeItOutOfSales) {
  domain::AnalyticsRow row;
  row.type = domain::OrderEventType::kStatusChanged;
  row.before = image(domain::OrderStatus::kShipped);
  row.current = image(domain::OrderStatus::kRefunded);
  const auto amount = *domain::Money::parse("12.50");
  const RollupMap<Sums> expected = {{{Dimension::kHourStatus, "", kHour, "SHIPPED", ""}, {-1, 0, 0, -amount}},
                                    {{Dimension::kHourStatus, "", kHour, "REFUNDED", ""}, {1, 0, 0, amount}},
                                    {{Dimension::kDayUser, "", kDay, "u", ""}, {0, -1, 0, {}}},
                                    {{Dimension::kUserDay, "u", kDay, "u@example.com", ""}, {0, -1, 0, {}}}};
  EXPECT_EQ(deltas_of(row), expected);
}

TEST(Deltas, OfACreationAndItsDeletionAddUpToNothing) {
  domain::AnalyticsRow created;
  created.current = image(domain::OrderStatus::kPending);
  domain::AnalyticsRow deleted;
  deleted.type = domain::OrderEventType::kDeleted;
  deleted.current = created.current;
  deleted.before = created.current;
  auto sums = deltas_of(created);
  for (const auto& [key, delta] : deltas_of(deleted)) sums[key] += delta;
  for (const auto& [key, sum] : sums) EXPECT_EQ(sum, Sums{}) << key.leader << key.key1;
}

RollupKey key_at(std::uint32_t bucket, const std::string& name) {
  return {Dimension::kDayUser, "", bucket, name, ""};
}

TEST(RollupCache, KnowsThatAKeyIsAbsentOnlyWhereItKnowsAll) {
  RollupCache cache(100, 1'000);
  cache.store(key_at(150, "a"), {7, {1, 0, 0, {}}});
  EXPECT_EQ(cache.find(key_at(150, "a")), (CumulativeAggregate{7, {1, 0, 0, {}}}));
  EXPECT_EQ(cache.find(key_at(100, "b")), CumulativeAggregate{});
  EXPECT_EQ(cache.find(key_at(99, "b")), std::nullopt);
}

TEST(RollupCache, ForgetsTheOldestBucketsFirstAndRemembersThatItForgot) {
  RollupCache cache(0, 100);
  for (std::uint32_t bucket = 0; bucket < 30; ++bucket)
    for (int i = 0; i < 10; ++i) cache.store(key_at(bucket, std::to_string(i)), {1, {}});
  cache.shrink();
  EXPECT_LE(cache.size(), 100u);
  EXPECT_GT(cache.size(), 50u);
  EXPECT_TRUE(cache.find(key_at(29, "0")));
  EXPECT_EQ(cache.find(key_at(0, "0")), std::nullopt);
  EXPECT_EQ(cache.find(key_at(0, "unknown")), std::nullopt);
  EXPECT_EQ(cache.find(key_at(29, "unknown")), CumulativeAggregate{});
}

TEST(RollupCache, ForgetsAllWhenOneBucketAloneIsTooLarge) {
  RollupCache cache(0, 10);
  for (int i = 0; i < 50; ++i) cache.store(key_at(5, std::to_string(i)), {1, {}});
  cache.shrink();
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(cache.find(key_at(5, "1")), std::nullopt);
}

TEST(RowBinary, ComesBackAndTellsWhenItIsCutOff) {
  std::string bytes;
  RowBinaryWriter writer(bytes);
  const std::string longer(300, 'x');
  writer.number(std::int64_t{-5});
  writer.string(longer);
  writer.string("");
  writer.number(std::uint8_t{7});
  RowBinaryReader reader(bytes);
  EXPECT_EQ(reader.number<std::int64_t>(), -5);
  EXPECT_EQ(reader.string(), longer);
  EXPECT_EQ(reader.string(), "");
  EXPECT_EQ(reader.number<std::uint8_t>(), 7);
  EXPECT_TRUE(reader.at_end());
  EXPECT_FALSE(reader.broken());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    RowBinaryReader short_reader(std::string_view(bytes).substr(0, cut));
    static_cast<void>(short_reader.number<std::int64_t>());
    static_cast<void>(short_reader.string());
    static_cast<void>(short_reader.string());
    static_cast<void>(short_reader.number<std::uint8_t>());
    EXPECT_TRUE(short_reader.broken()) << cut;
  }
}

}  // namespace
}  // namespace millrace::sink
