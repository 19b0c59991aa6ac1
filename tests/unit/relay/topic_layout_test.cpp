#include "relay/topic_layout.h"

#include <gtest/gtest.h>

namespace millrace::relay {
namespace {

using base::ErrorKind;
using ports::RelayedTopic;

constexpr const char* kTopic = "order.events";

ports::TopicInfo topic(std::int32_t partitions, std::string id) {
  ports::TopicInfo info;
  info.topic = kTopic;
  info.partitions = partitions;
  info.topic_id = std::move(id);
  return info;
}

TEST(TopicLayout, RecordsATopicThatItSeesForTheFirstTime) {
  TopicLayout layout({});
  EXPECT_FALSE(layout.partitions_of(kTopic));
  const auto decision = layout.reconcile(topic(3, "a"), {});
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->partitions, 3);
  EXPECT_TRUE(decision->record);
  EXPECT_EQ(layout.partitions_of(kTopic), 3);
}

TEST(TopicLayout, UsesWhatIsRecordedWithoutWritingItAgain) {
  TopicLayout layout({});
  const auto decision = layout.reconcile(topic(3, "a"), RelayedTopic{3, "a"});
  ASSERT_TRUE(decision);
  EXPECT_FALSE(decision->record);
}

TEST(TopicLayout, KeepsToTheFormerPartitionsUntilTheOutboxWasEmpty) {
  TopicLayout layout({});
  ASSERT_EQ(layout.reconcile(topic(6, "a"), RelayedTopic{3, "a"})->partitions, 3);
  EXPECT_TRUE(layout.has_grown());
  layout.on_empty();
  const auto grown = layout.reconcile(topic(6, "a"), RelayedTopic{3, "a"});
  EXPECT_EQ(grown->partitions, 6);
  EXPECT_TRUE(grown->record);
  EXPECT_FALSE(layout.has_grown());
}

TEST(TopicLayout, CountsWhatWasSentSinceTheOutboxWasEmptyAsInFlight) {
  TopicLayout layout({});
  layout.on_empty();
  layout.on_sent(kTopic);
  EXPECT_EQ(layout.reconcile(topic(6, "a"), RelayedTopic{3, "a"})->partitions, 3);
  layout.on_empty();
  EXPECT_EQ(layout.reconcile(topic(6, "a"), RelayedTopic{3, "a"})->partitions, 6);
}

TEST(TopicLayout, KnowsNothingUnderANewLease) {
  TopicLayout layout({});
  layout.on_empty();
  ASSERT_TRUE(layout.reconcile(topic(3, "a"), {}));
  layout.start_lease();
  EXPECT_FALSE(layout.was_empty());
  EXPECT_FALSE(layout.partitions_of(kTopic));
  EXPECT_EQ(layout.reconcile(topic(6, "a"), RelayedTopic{3, "a"})->partitions, 3);
}

TEST(TopicLayout, KeepsToTheFormerPartitionsWhichTheShardsDivide) {
  TopicLayout layout({.shards = 2});
  layout.on_empty();
  EXPECT_EQ(layout.reconcile(topic(3, "a"), RelayedTopic{2, "a"})->partitions, 2);
  const auto refused = layout.reconcile(topic(3, "b"), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kFatal);
}

TEST(TopicLayout, RefusesARecreatedTopicWhileEventsMayBeOnTheirWay) {
  const RelayedTopic recorded{3, "a"};
  {
    TopicLayout layout({.rows_in_flight_max = 40});
    const auto refused = layout.reconcile(topic(3, "b"), recorded);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kFatal);
    EXPECT_NE(refused.error().message.find("relay.accept_topic = b"), std::string::npos);
    EXPECT_FALSE(layout.partitions_of(kTopic));
    layout.on_empty();
    EXPECT_TRUE(layout.reconcile(topic(3, "b"), recorded)->record);
  }
  EXPECT_TRUE(TopicLayout({.accepted_topic_id = "b"}).reconcile(topic(3, "b"), recorded));
  EXPECT_FALSE(TopicLayout({.accepted_topic_id = "c"}).reconcile(topic(3, "b"), recorded));
  EXPECT_TRUE(TopicLayout({.accepts_new_topics = true}).reconcile(topic(3, "b"), recorded));
}

}  // namespace
}  // namespace millrace::relay
