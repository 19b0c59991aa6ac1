// What happens to an event log under people's hands: offsets deleted or set, topics deleted and recreated,
// partitions added, assignments that pass on. Nothing is lost and nothing counts twice, or the stage refuses.
#include <thread>

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "adapters/memory/memory_event_log.h"
#include "adapters/system/system_clock.h"
#include "domain/order_event.h"
#include "relay/relay.h"
#include "sink/sink.h"
#include "support/memory_pipeline.h"
#include "support/order_history.h"
#include "transform/transformer.h"

namespace millrace {
namespace {

using adapters::memory::LogFault;
using adapters::memory::LogOperation;
using test::History;

constexpr std::chrono::milliseconds kPatience{20'000};
const std::string kEvents = "order.events";
const std::string kRows = "orders_analytics";
const std::string kTransformers = "order-event-transformer";
const std::string kSinks = "clickhouse-sink-orders";

base::Deadline soon() {
  return base::Deadline::in(kPatience);
}
template <class Condition>
bool comes(Condition condition) {
  for (const auto patience = soon(); !patience.passed();
       std::this_thread::sleep_for(std::chrono::milliseconds(1)))
    if (condition()) return true;
  return false;
}

/// A stage on a thread of its own.
template <class Stage>
class Running {
 public:
  explicit Running(Stage& stage)
      : thread_([&stage, this] {
          outcome_ = stage.run(stop_);
          ended_ = true;
        }) {}
  ~Running() { (void)end(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  base::Result<void> end() {
    stop_.request();
    if (thread_.joinable()) thread_.join();
    return outcome_;
  }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  base::StopSignal stop_;
  base::Result<void> outcome_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

class LogTrouble : public testing::Test {
 protected:
  LogTrouble() : outbox_(dial_), tables_(dial_), history_(3, 60) {
    spdlog::set_level(spdlog::level::off);
    for (const std::string& topic : {kEvents, kRows}) EXPECT_TRUE(log_.ensure_topic(topic, 2, soon()));
    transforming_.batch_records_max = 4;
    transforming_.window_events = 200;
    transforming_.commit_interval = std::chrono::milliseconds(0);
    transforming_.idle_wait = std::chrono::milliseconds(2);
    transforming_.topic_check_interval = std::chrono::milliseconds(5);
    sinking_.batch_rows_max = 6;
    sinking_.max_delay = std::chrono::milliseconds(0);
    sinking_.position_interval = std::chrono::milliseconds(0);
    sinking_.idle_wait = std::chrono::milliseconds(2);
    sinking_.topic_check_interval = std::chrono::milliseconds(5);
    relaying_.partitions = 2;
    relaying_.poll_interval_max = std::chrono::milliseconds(2);
  }

  /// The next `count` events of the history, in the log. One after the other: the relay takes up partitions
  /// that were added, and topics that were recreated, when the outbox is empty.
  void send(std::size_t count) {
    relay::Relay relay(outbox_, log_, clock_, relaying_);
    Running running(relay);
    for (; count > 0 && sent_ < history_.events.size(); --count, ++sent_) {
      const domain::OrderEvent& event = history_.events[sent_];
      outbox_.add(event.image().order_id.value(), std::string(domain::to_string(event.type)),
                  domain::to_json(event));
      relay.wake();
      ASSERT_TRUE(comes([&] { return outbox_.waiting() == 0; }));
      // Time to look again and to find nothing.
      std::this_thread::sleep_for(3 * relaying_.poll_interval_max);
    }
    EXPECT_TRUE(running.end());
  }
  void send_all() { send(history_.events.size()); }
  [[nodiscard]] std::size_t half() const { return history_.events.size() / 2; }

  void transform_all() {
    transform::Transformer transformer(log_, clock_, transforming_);
    Running running(transformer);
    EXPECT_TRUE(comes([&] { return all_committed(kTransformers, kEvents, true); }));
    EXPECT_TRUE(running.end());
  }
  void sink_all() {
    sink::Sink sink(log_, tables_, clock_, sinking_);
    Running running(sink);
    EXPECT_TRUE(comes([&] { return all_committed(kSinks, kRows, true); }));
    EXPECT_TRUE(running.end());
  }
  /// As a person does with Kafka's tools.
  void set_offset(const std::string& group, const std::string& topic, std::int32_t partition,
                  std::int64_t offset) {
    const auto member = log_.join(group, topic, soon());
    ASSERT_TRUE(member);
    const auto assigned = (*member)->assignments(soon());
    ASSERT_TRUE(assigned);
    for (const ports::Assignment& assignment : *assigned) {
      if (assignment.partition.partition != partition) continue;
      ASSERT_TRUE((*member)->commit(assignment, {offset, {}}, soon()));
    }
  }
  std::int64_t end_of(const std::string& topic, std::int32_t partition) {
    return log_.offsets({topic, partition}, soon())->end;
  }
  bool all_committed(const std::string& group, const std::string& topic, bool by_us) {
    const auto info = log_.describe_topic(topic, soon());
    for (std::int32_t partition = 0; info && partition < info->partitions; ++partition) {
      const auto committed = log_.committed(group, {topic, partition}, soon());
      if (!committed || !*committed || (*committed)->offset != end_of(topic, partition)) return false;
      if (by_us && (*committed)->metadata.empty()) return false;
    }
    return info.has_value();
  }
  void expect_truth() const {
    EXPECT_FALSE(tables_.clash());
    EXPECT_EQ(tables_.sums(), history_.sums);
    EXPECT_EQ(tables_.base_rows().size(), history_.orders.size());
  }

  test::CallDial dial_;
  test::MemoryOutbox outbox_;
  adapters::memory::MemoryEventLog log_;
  test::MemoryTables tables_;
  adapters::system::SystemClock clock_;
  const History history_;
  std::size_t sent_ = 0;
  relay::Options relaying_;
  transform::Options transforming_;
  sink::Options sinking_;
};

TEST_F(LogTrouble, DoesNotMatterWhenOffsetsOfTheTransformerAreSetBack) {
  send(half());
  transform_all();
  sink_all();
  for (const std::int32_t partition : {0, 1}) set_offset(kTransformers, kEvents, partition, 0);
  send_all();
  transform_all();
  sink_all();
  expect_truth();
}

TEST_F(LogTrouble, DoesNotMatterWhenOffsetsOfTheTransformerAreSetForward) {
  send(half());
  transform_all();
  send_all();
  for (const std::int32_t partition : {0, 1})
    set_offset(kTransformers, kEvents, partition, end_of(kEvents, partition));
  transform_all();
  sink_all();
  expect_truth();
}

TEST_F(LogTrouble, DoesNotMatterWhenTheTransformersGroupIsDeletedAndTheLogIsTrimmed) {
  send(half());
  transform_all();
  sink_all();
  // What no window needs any more is gone, and another group's name is a group without offsets.
  for (const std::int32_t partition : {0, 1}) {
    const auto committed = log_.committed(kTransformers, {kEvents, partition}, soon());
    ASSERT_TRUE(committed && *committed);
    ASSERT_TRUE(log_.delete_records({kEvents, partition}, transform::needed_from(**committed), soon()));
  }
  transforming_.group = "another";
  send_all();
  transform::Transformer transformer(log_, clock_, transforming_);
  Running running(transformer);
  EXPECT_TRUE(comes([&] { return all_committed("another", kEvents, true); }));
  EXPECT_TRUE(running.end());
  sink_all();
  expect_truth();
}

TEST_F(LogTrouble, DoesNotMatterWhenOffsetsOfTheSinkAreSet) {
  send(half());
  transform_all();
  sink_all();
  send_all();
  transform_all();
  set_offset(kSinks, kRows, 0, 0);
  set_offset(kSinks, kRows, 1, end_of(kRows, 1));
  EXPECT_EQ(sink::needed_from(**log_.committed(kSinks, {kRows, 1}, soon())), 0);
  sink_all();
  expect_truth();
}

TEST_F(LogTrouble, MakesTheTransformerRefuseWhenEventsWentWithTheirTopic) {
  send(half());
  transform_all();
  log_.recreate_topic(kEvents);
  relaying_.accepted_topic_id = log_.describe_topic(kEvents, soon())->topic_id;
  send_all();
  transform::Transformer transformer(log_, clock_, transforming_);
  Running running(transformer);
  EXPECT_TRUE(comes([&] { return running.ended(); }));
  const auto refused = running.end();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kFatal);
  EXPECT_NE(refused.error().message.find("--rebuild"), std::string::npos) << refused.error().message;
  // The cure: both topics anew, and a warehouse from the store.
  log_.recreate_topic(kRows);
  transform_all();
}

TEST_F(LogTrouble, IsNoticedByATransformerThatRuns) {
  send(half());
  transform::Transformer transformer(log_, clock_, transforming_);
  Running running(transformer);
  ASSERT_TRUE(comes([&] { return all_committed(kTransformers, kEvents, true); }));
  log_.recreate_topic(kEvents);
  EXPECT_TRUE(comes([&] { return running.ended(); }));
  EXPECT_EQ(running.end().error().kind, base::ErrorKind::kFatal);
}

TEST_F(LogTrouble, MakesTheSinkRefuseWhenRowsWentWithTheirTopic) {
  send(half());
  transform_all();
  sink::Sink sink(log_, tables_, clock_, sinking_);
  Running running(sink);
  ASSERT_TRUE(comes([&] { return all_committed(kSinks, kRows, true); }));
  log_.recreate_topic(kRows);
  EXPECT_TRUE(comes([&] { return running.ended(); }));
  const auto refused = running.end();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kFatal);
  EXPECT_NE(refused.error().message.find("--rebuild"), std::string::npos) << refused.error().message;
}

TEST(SinkSources, AreOfAFormerTopicWhenGenerationAndPartitionAreTheSame) {
  using sink::is_former_topic_id;
  // Kafka writes its ids in base64, slashes included.
  EXPECT_TRUE(is_former_topic_id("lq01Ezs+Q7mzaNxym8W/YA/0", "Ex21g8EWOWNx0tmWKHwrFg/0", {}));
  EXPECT_FALSE(is_former_topic_id("lq01Ezs+Q7mzaNxym8W/YA/0", "lq01Ezs+Q7mzaNxym8W/YA/0", {}));
  EXPECT_FALSE(is_former_topic_id("lq01Ezs+Q7mzaNxym8W/YA/1", "Ex21g8EWOWNx0tmWKHwrFg/0", {}));
  EXPECT_FALSE(is_former_topic_id("1/lq01Ezs+Q7mzaNxym8W/YA/0", "Ex21g8EWOWNx0tmWKHwrFg/0", {}));
  EXPECT_TRUE(is_former_topic_id("2/lq01Ezs+Q7mzaNxym8W/YA/0", "2/Ex21g8EWOWNx0tmWKHwrFg/0", {.number = 2}));
  EXPECT_FALSE(is_former_topic_id("1/lq01Ezs+Q7mzaNxym8W/YA/0", "2/Ex21g8EWOWNx0tmWKHwrFg/0", {.number = 2}));
  EXPECT_FALSE(is_former_topic_id("2/snapshot", "2/Ex21g8EWOWNx0tmWKHwrFg/0", {.number = 2}));
}

TEST_F(LogTrouble, WritesRowsAgainThatNobodyHadLoadedWhenTheirTopicWasDeleted) {
  send(half());
  transform_all();
  log_.recreate_topic(kRows);
  send_all();
  transform_all();
  sink_all();
  expect_truth();
}

TEST_F(LogTrouble, GivesTheRowsTopicThePartitionsThatTheEventsTopicGets) {
  transform::Transformer transformer(log_, clock_, transforming_);
  sink::Sink sink(log_, tables_, clock_, sinking_);
  Running transforming(transformer);
  Running sinking(sink);
  send(half());
  ASSERT_TRUE(comes([&] { return all_committed(kTransformers, kEvents, true); }));
  // The relay is drained here, as it must be before it uses them.
  ASSERT_TRUE(log_.grow_topic(kEvents, 4, soon()));
  send_all();
  EXPECT_TRUE(comes(
      [&] { return all_committed(kTransformers, kEvents, true) && all_committed(kSinks, kRows, true); }));
  EXPECT_EQ(log_.describe_topic(kRows, soon())->partitions, 4);
  EXPECT_GT(end_of(kRows, 3), 0);
  EXPECT_TRUE(transforming.end());
  EXPECT_TRUE(sinking.end());
  expect_truth();
}

TEST_F(LogTrouble, DoesNotMatterWhenTheRowsTopicGetsMorePartitionsThanTheEventsTopic) {
  ASSERT_TRUE(log_.grow_topic(kRows, 5, soon()));
  send_all();
  transform_all();
  sink_all();
  expect_truth();
}

TEST_F(LogTrouble, CostsNoMembershipWhenACommitIsRefused) {
  send(half());
  log_.faults().set(LogOperation::kCommit, 1, LogFault::kConflict, 3);
  transform_all();
  EXPECT_EQ(log_.faults().calls(LogOperation::kJoin), 1u);
  log_.faults().set(LogOperation::kCommit, 1, LogFault::kConflict, 3);
  sink_all();
  EXPECT_EQ(log_.faults().calls(LogOperation::kJoin), 2u);
  send_all();
  transform_all();
  sink_all();
  expect_truth();
}

}  // namespace
}  // namespace millrace
