#include "adapters/kafka/record_limit.h"

#include <gtest/gtest.h>

namespace millrace::adapters::kafka {
namespace {

constexpr std::size_t kRecord = 1'000'000;
constexpr std::size_t kBatch = 1'100'000;

TEST(RecordLimit, IsWhatWeWouldLikeUntilATopicTakesLess) {
  RecordLimit limit(kRecord, kBatch);
  EXPECT_EQ(limit.record_bytes(), kRecord);
  EXPECT_EQ(limit.batch_bytes(), kBatch);
  EXPECT_TRUE(limit.topics_to_ask().empty());
}

TEST(RecordLimit, FollowsTheNarrowestTopic) {
  RecordLimit limit(kRecord, kBatch);
  EXPECT_EQ(limit.narrow("a", 110'000, 1'000), 110'000u);
  EXPECT_EQ(limit.batch_bytes(), 110'000u);
  EXPECT_LT(limit.record_bytes(), 110'000u);
  EXPECT_EQ(limit.narrow("b", 500'000, 1'000), 500'000u);
  EXPECT_EQ(limit.batch_bytes(), 110'000u);
}

TEST(RecordLimit, GoesBelowWhatWasRefusedWhereATopicCannotBeAsked) {
  RecordLimit limit(kRecord, kBatch);
  EXPECT_EQ(limit.narrow("a", std::nullopt, 900'000), kBatch / 2);
  EXPECT_EQ(limit.narrow("a", std::nullopt, 3'000), 3'000u);
  EXPECT_EQ(limit.record_bytes(), 1'500u);
}

TEST(RecordLimit, IsRenewedByWhatTheTopicsTakeLater) {
  RecordLimit limit(kRecord, kBatch);
  limit.narrow("a", 110'000, 1'000);
  EXPECT_TRUE(limit.topics_to_ask().empty()) << "not before its time";
  EXPECT_FALSE(limit.renew(500'000));
  EXPECT_EQ(limit.batch_bytes(), 500'000u);
  EXPECT_TRUE(limit.renew(5'000'000));
  EXPECT_EQ(limit.batch_bytes(), kBatch);
  EXPECT_EQ(limit.record_bytes(), kRecord);
}

}  // namespace
}  // namespace millrace::adapters::kafka
