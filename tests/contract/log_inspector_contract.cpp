// What src/ports/log_inspector.h promises, of every event log.
#include <algorithm>
#include <functional>
#include <set>
#include <thread>

#include "base/uuid.h"
#include "contract/event_log_contract.h"

namespace millrace::contract {
namespace {

using base::Deadline;
using base::ErrorKind;

Deadline soon() {
  return Deadline::in(std::chrono::seconds(30));
}

bool holds_in_time(const std::function<bool()>& condition) {
  for (const Deadline deadline = soon(); !deadline.passed();) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

std::vector<ports::NewRecord> records(std::size_t count) {
  return std::vector<ports::NewRecord>(count, {"key", "value", {}, base::utc_from_ms(1'767'225'600'123)});
}

/// Brokers hear of a new topic one after the other.
ports::TopicState news_of(ports::LogInspector& inspector, const std::string& topic) {
  base::Result<ports::TopicState> found;
  EXPECT_TRUE(holds_in_time([&] {
    found = inspector.topic(topic, soon());
    return found &&
           std::ranges::all_of(found->partitions, [](const auto& one) { return one.offsets.has_value(); });
  })) << topic;
  return found ? std::move(*found) : ports::TopicState();
}

TEST_P(EventLogContract, ShowsATopicWithItsLeadersReplicasAndOffsets) {
  const std::string name = make_topic(2);
  ASSERT_TRUE(log().append({name, 1}, records(5), soon()).has_value());
  ASSERT_TRUE(log().delete_records({name, 1}, 2, soon()).has_value());

  const ports::TopicState topic = news_of(inspector(), name);

  EXPECT_EQ(topic.info.topic, name);
  EXPECT_EQ(topic.info.topic_id, log().describe_topic(name, soon())->topic_id);
  EXPECT_FALSE(topic.is_internal);
  ASSERT_EQ(topic.partitions.size(), 2U);
  for (const ports::PartitionState& partition : topic.partitions) {
    EXPECT_EQ(&partition - topic.partitions.data(), partition.partition);
    ASSERT_TRUE(partition.leader.has_value());
    EXPECT_NE(std::ranges::find(partition.replicas, *partition.leader), partition.replicas.end());
    EXPECT_NE(std::ranges::find(partition.in_sync, *partition.leader), partition.in_sync.end());
    ASSERT_TRUE(partition.offsets.has_value());
  }
  EXPECT_EQ(topic.partitions[0].offsets->end, 0);
  EXPECT_EQ(topic.partitions[1].offsets->end, 5);
  EXPECT_TRUE(
      holds_in_time([&] { return inspector().topic(name, soon())->partitions[1].offsets->begin == 2; }));

  const auto all = inspector().topics(soon());
  ASSERT_TRUE(all.has_value()) << all.error().message;
  EXPECT_TRUE(std::ranges::is_sorted(*all, {}, [](const auto& one) { return one.info.topic; }));
  EXPECT_EQ(std::ranges::count(*all, name, [](const auto& one) { return one.info.topic; }), 1);
}

TEST_P(EventLogContract, ShowsAGroupWithItsMembersAndItsLag) {
  const std::string name = make_topic(2);
  const std::string group = "group-" + base::uuid_v7({});
  ASSERT_TRUE(log().append({name, 0}, records(5), soon()).has_value());
  ASSERT_TRUE(log().append({name, 1}, records(3), soon()).has_value());
  auto member = std::move(*log().join(group, name, soon()));
  std::vector<ports::Assignment> mine;
  ASSERT_TRUE(holds_in_time([&] { return (mine = *member->assignments(soon())).size() == 2; }));
  const auto first = std::ranges::find(mine, 0, [](const auto& one) { return one.partition.partition; });
  ASSERT_TRUE(member->commit(*first, {2, ""}, soon()).has_value());

  const auto found = inspector().group(group, soon());

  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ(found->group, group);
  EXPECT_EQ(found->state, "Stable");
  ASSERT_EQ(found->members.size(), 1U);
  EXPECT_FALSE(found->members[0].id.empty());
  EXPECT_EQ(found->members[0].client_id, "millrace");
  EXPECT_EQ(found->members[0].host, "127.0.0.1");
  EXPECT_EQ(found->members[0].partitions, (std::vector<ports::TopicPartition>{{name, 0}, {name, 1}}));
  ASSERT_EQ(found->partitions.size(), 2U);
  EXPECT_EQ(found->partitions[0].committed, 2);
  EXPECT_EQ(found->partitions[0].end, 5);
  EXPECT_EQ(found->partitions[0].lag(), 3);
  EXPECT_FALSE(found->partitions[1].committed.has_value());
  EXPECT_EQ(found->partitions[1].end, 3);
  EXPECT_FALSE(found->partitions[1].lag().has_value());
  EXPECT_EQ(found->lag(), 3);

  member.reset();
  EXPECT_TRUE(holds_in_time([&] { return inspector().group(group, soon())->state == "Empty"; }));
  const auto all = inspector().groups(soon());
  ASSERT_TRUE(all.has_value()) << all.error().message;
  const auto left = std::ranges::find(*all, group, &ports::GroupState::group);
  ASSERT_NE(left, all->end());
  EXPECT_TRUE(left->members.empty());
  ASSERT_EQ(left->partitions.size(), 1U);
  EXPECT_EQ(left->partitions[0].lag(), 3);
}

TEST_P(EventLogContract, ShowsTheBrokers) {
  const std::string name = make_topic(3);
  const auto cluster = inspector().cluster(soon());
  ASSERT_TRUE(cluster.has_value()) << cluster.error().message;
  EXPECT_FALSE(cluster->id.empty());
  std::set<std::int32_t> up;
  for (const ports::BrokerState& broker : cluster->brokers) {
    EXPECT_TRUE(broker.is_up);
    EXPECT_EQ(broker.host, "127.0.0.1");
    up.insert(broker.id);
  }
  for (const ports::PartitionState& partition : news_of(inspector(), name).partitions)
    for (const std::int32_t replica : partition.replicas) EXPECT_TRUE(up.contains(replica));
}

TEST_P(EventLogContract, FindsNoTopicOrGroupThatIsNotThere) {
  EXPECT_EQ(inspector().topic("no.such.topic", soon()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(inspector().topic("", soon()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(inspector().topic("no topic", soon()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(inspector().group("no-such-group", soon()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(inspector().group("", soon()).error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace millrace::contract
