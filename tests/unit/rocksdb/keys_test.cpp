#include "adapters/rocksdb/keys.h"

#include <gtest/gtest.h>

namespace millrace::adapters::rocksdb {
namespace {

std::string_view without_kind(const std::string& key) {
  return std::string_view(key).substr(1);
}

TEST(RocksdbKeys, SortAsTheirNumbersDo) {
  EXPECT_LT(record_key(1, 2, 255), record_key(1, 2, 256));
  EXPECT_LT(record_key(1, 2, 1'000'000), records_end_key(1, 2));
  EXPECT_LT(records_end_key(1, 2), record_key(1, 3, 1));
  EXPECT_LT(record_key(1, 300, 9), record_key(2, 0, 0));
}

TEST(RocksdbKeys, StayWhatIsOnDisks) {
  EXPECT_EQ(topic_key("t.x"), "tt.x");
  EXPECT_EQ(range_key(1, 2), std::string("p\0\0\0\1\0\0\0\2", 9));
  EXPECT_EQ(record_key(1, 2, 3), std::string("r\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\3", 17));
  EXPECT_EQ(generation_key({"g", "t"}), "g\1g\1t");
  EXPECT_EQ(commit_key("g", {"t", 5}), std::string("c\1g\1t\0\0\0\5", 9));
  EXPECT_EQ(commit_value({7, "meta"}), std::string("\0\0\0\0\0\0\0\7meta", 12));
}

TEST(RocksdbKeys, AreReadBack) {
  const auto range = read_range(without_kind(range_key(4, 9)), range_value({3, 8}));
  ASSERT_TRUE(range);
  EXPECT_EQ(range->topic, 4u);
  EXPECT_EQ(range->partition, 9u);
  EXPECT_EQ(range->range.begin, 3);
  EXPECT_EQ(range->range.end, 8);
  const auto generation =
      read_generation(without_kind(generation_key({"group", "topic"})), generation_value(12));
  ASSERT_TRUE(generation);
  EXPECT_EQ(generation->first, GroupKey("group", "topic"));
  EXPECT_EQ(generation->second, 12);
  const auto commit = read_commit(without_kind(commit_key("group", {"topic", 3})), commit_value({77, "x=1"}));
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->group, "group");
  EXPECT_EQ(commit->partition, (ports::TopicPartition{"topic", 3}));
  EXPECT_EQ(commit->committed.offset, 77);
  EXPECT_EQ(commit->committed.metadata, "x=1");
  const auto topic = read_topic(without_kind(topic_key("topic")), topic_value(6, {"topic", 2, "id"}));
  ASSERT_TRUE(topic);
  EXPECT_EQ(topic->number, 6u);
  EXPECT_EQ(topic->info.topic, "topic");
  EXPECT_EQ(topic->info.partitions, 2);
}

TEST(RocksdbKeys, AreRefusedWhenTheyAreCutOrMakeNoSense) {
  const std::string range = range_key(4, 9);
  EXPECT_FALSE(read_range(without_kind(range).substr(1), range_value({3, 8})));
  EXPECT_FALSE(read_range(without_kind(range), range_value({8, 3})));
  EXPECT_FALSE(read_range(without_kind(range), "short"));
  EXPECT_FALSE(read_topic("topic", topic_value(6, {"topic", ports::kTopicPartitionsMax + 1, "id"})));
  EXPECT_FALSE(read_topic("topic", topic_value(6, {"topic", 2, ""})));
  EXPECT_FALSE(read_generation("\5abc", generation_value(1)));
  EXPECT_FALSE(read_commit(without_kind(commit_key("group", {"topic", 3})), "short"));
}

}  // namespace
}  // namespace millrace::adapters::rocksdb
