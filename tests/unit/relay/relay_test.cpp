// The relay over an outbox and a log in memory: what is in flight, topics that grow or are recreated.
#include "relay/relay.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "adapters/memory/memory_event_log.h"
#include "adapters/system/system_clock.h"
#include "relay/outbox_cleaner.h"
#include "support/memory_pipeline.h"

namespace millrace::relay {
namespace {

using namespace std::chrono_literals;
using base::Deadline;
using base::Result;
using ports::TopicPartition;

constexpr const char* kTopic = "order.events";

/// A log whose topics can grow and be recreated, and whose appends are acknowledged when the test says so.
class ShapedLog final : public adapters::memory::MemoryEventLog {
 public:
  Result<ports::TopicInfo> describe_topic(const std::string& topic, Deadline deadline) override {
    auto info = MemoryEventLog::describe_topic(topic, deadline);
    const std::lock_guard lock(mutex_);
    if (info) info->partitions = partitions_;
    if (info) info->topic_id = topic_id_;
    return info;
  }
  Result<std::unique_ptr<ports::PendingAppend>> start_append(std::span<const ports::PartitionRecords> batches,
                                                             Deadline deadline) override {
    MILLRACE_TRY(MemoryEventLog::start_append(batches, deadline));
    const std::lock_guard lock(mutex_);
    for (const auto& batch : batches) unanswered_ += batch.records.size();
    most_unanswered_ = std::max(most_unanswered_, unanswered_);
    std::size_t count = 0;
    for (const auto& batch : batches) count += batch.records.size();
    return std::make_unique<Pending>(*this, count);
  }
  void shape(std::int32_t partitions, std::string topic_id) {
    const std::lock_guard lock(mutex_);
    partitions_ = partitions;
    topic_id_ = std::move(topic_id);
  }
  void answer(bool answers) {
    const std::lock_guard lock(mutex_);
    answers_ = answers;
    answered_.notify_all();
  }
  std::size_t most_unanswered() {
    const std::lock_guard lock(mutex_);
    return most_unanswered_;
  }

 private:
  class Pending final : public ports::PendingAppend {
   public:
    Pending(ShapedLog& log, std::size_t records) : log_(log), records_(records) {}
    Result<bool> wait(Deadline deadline) override {
      std::unique_lock lock(log_.mutex_);
      if (log_.answered_.wait_until(lock, deadline.moment(), [&] { return log_.answers_; })) {
        log_.unanswered_ -= std::exchange(records_, 0);
        return true;
      }
      return false;
    }

   private:
    ShapedLog& log_;
    std::size_t records_;
  };

  std::mutex mutex_;
  std::condition_variable answered_;
  std::int32_t partitions_ = 2;  // guarded by mutex_, as all below
  std::string topic_id_ = "first";
  bool answers_ = true;
  std::size_t unanswered_ = 0;
  std::size_t most_unanswered_ = 0;
};

class RelayTest : public testing::Test {
 protected:
  RelayTest() {
    options_.partitions = 12;
    options_.poll_interval_min = 1ms;
    options_.poll_interval_max = 5ms;
    EXPECT_TRUE(log_.ensure_topic(kTopic, options_.partitions, soon()));
  }
  static Deadline soon() { return Deadline::in(20s); }

  void add(int orders) {
    for (int i = 0; i < orders; ++i) outbox_.add("order-" + std::to_string(i), "OrderCreated", "{}");
  }
  /// Runs a relay until `done`, or until it ends by itself with the error that is returned.
  Result<void> relay_until(const std::function<bool(const Stats&)>& done) {
    Relay relay(outbox_, log_, clock_, options_);
    base::StopSignal stop;
    std::atomic<bool> ended = false;
    Result<void> outcome;
    std::thread runs([&] {
      outcome = relay.run(stop);
      ended = true;
    });
    const Deadline deadline = soon();
    while (!ended && !deadline.passed() && !done(relay.stats())) stop.wait_for(1ms);
    EXPECT_FALSE(deadline.passed());
    stop.request();
    relay.wake();
    runs.join();
    return outcome;
  }
  Result<void> relay_all() {
    return relay_until([&](const Stats&) { return outbox_.waiting() == 0; });
  }
  std::set<std::int32_t> partitions_used() {
    std::set<std::int32_t> used;
    for (std::int32_t number = 0; number < options_.partitions; ++number)
      if (log_.offsets({kTopic, number}, soon())->end > 0) used.insert(number);
    return used;
  }
  std::vector<std::string> ids_in(std::int32_t partition) {
    std::vector<std::string> ids;
    const auto end = log_.offsets({kTopic, partition}, soon())->end;
    const auto records = log_.read_before({kTopic, partition}, end, 100'000, soon());
    for (const auto& record : records.value()) ids.emplace_back(*record.header("event-id"));
    return ids;
  }

  test::CallDial dial_;
  test::MemoryOutbox outbox_{dial_};
  ShapedLog log_;
  adapters::system::SystemClock clock_;
  Options options_;
};

TEST_F(RelayTest, HasNoMoreRowsInFlightThanTheBatchAllows) {
  options_.batch_rows_max = 10;
  log_.answer(false);
  add(100);
  ASSERT_TRUE(relay_until([&](const Stats&) {
    const bool full = log_.most_unanswered() == 10;
    if (full) log_.answer(true);
    return outbox_.waiting() == 0;
  }));
  EXPECT_EQ(log_.most_unanswered(), 10u);
}

TEST_F(RelayTest, KeepsTheOrderOfEachAggregateOverManyAppends) {
  options_.batch_rows_max = 6;
  for (int i = 0; i < 300; ++i) outbox_.add("order-" + std::to_string(i % 7), "OrderStatusChanged", "{}");
  ASSERT_TRUE(relay_all());
  std::size_t all = 0;
  for (const std::int32_t partition : {0, 1}) {
    const auto ids = ids_in(partition);
    all += ids.size();
    std::vector<std::uint64_t> numbers;
    for (const std::string& id : ids) numbers.push_back(std::stoull(id));
    EXPECT_TRUE(std::ranges::is_sorted(numbers));
  }
  EXPECT_EQ(all, 300u);
}

TEST_F(RelayTest, KeepsTheOrderOfAnAggregateWhoseFirstRowIsCommittedLate) {
  options_.batch_rows_max = 8;
  log_.answer(false);
  const std::uint64_t late = outbox_.begin("late", "OrderCreated", "{}");
  outbox_.add("other", "OrderCreated", "{}");
  bool is_committed = false;
  ASSERT_TRUE(relay_until([&](const Stats&) {
    if (!is_committed && log_.most_unanswered() == 1) {
      outbox_.commit(late);
      outbox_.add("late", "OrderDeleted", "{}");
      is_committed = true;
    }
    if (log_.most_unanswered() == 3) log_.answer(true);
    return outbox_.waiting() == 0;
  }));
  const auto ids = ids_in(ports::partition_of("late", 2));
  EXPECT_LT(std::ranges::find(ids, "1"), std::ranges::find(ids, "3"));
}

// The cron of the systems that this one follows, with its pauses made shorter.
TEST_F(RelayTest, WorksAsACronOfAHundredRowsAtATime) {
  options_.batch_rows_max = 100;
  options_.poll_interval_min = options_.poll_interval_max = 50ms;
  for (int i = 0; i < 450; ++i) outbox_.add("order-" + std::to_string(i % 11), "OrderStatusChanged", "{}");
  ASSERT_TRUE(relay_all());
  EXPECT_LE(log_.most_unanswered(), 100u);
  for (const std::int32_t partition : {0, 1}) {
    std::vector<std::uint64_t> numbers;
    for (const std::string& id : ids_in(partition)) numbers.push_back(std::stoull(id));
    EXPECT_TRUE(std::ranges::is_sorted(numbers));
  }
}

TEST_F(RelayTest, GoesOnWithTheFormerPartitionsUntilTheOutboxHasBeenEmpty) {
  add(50);
  ASSERT_TRUE(relay_all());
  EXPECT_EQ(partitions_used(), (std::set<std::int32_t>{0, 1}));
  log_.shape(12, "first");
  add(50);
  ASSERT_TRUE(relay_until([&](const Stats& stats) { return stats.events_sent >= 50; }));
  EXPECT_EQ(partitions_used(), (std::set<std::int32_t>{0, 1}));
  // Empty at its start: nothing can be on its way.
  ASSERT_TRUE(relay_until([&, begun = Deadline::in(100ms), added = false](const Stats& stats) mutable {
    if (!begun.passed()) return false;
    if (!std::exchange(added, true)) add(50);
    return stats.events_sent >= 50;
  }));
  EXPECT_GT(partitions_used().size(), 5u);
}

TEST_F(RelayTest, GoesOnWithTheFormerPartitionsIfTheShardsDoNotDivideTheNewOnes) {
  options_.shards = 2;
  add(50);
  ASSERT_TRUE(relay_all());
  log_.shape(3, "first");
  ASSERT_TRUE(relay_until([&, begun = Deadline::in(100ms), added = false](const Stats& stats) mutable {
    if (!begun.passed()) return false;
    if (!std::exchange(added, true)) add(50);
    return stats.events_sent >= 50;
  }));
  EXPECT_EQ(partitions_used(), (std::set<std::int32_t>{0, 1}));
}

TEST_F(RelayTest, RefusesShardsThatDoNotDivideThePartitions) {
  options_.shards = 4;
  add(1);
  const auto refused = relay_all();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kFatal);
  EXPECT_NE(refused.error().message.find("relay.shards"), std::string::npos) << refused.error().message;
}

TEST_F(RelayTest, RefusesATopicMadeAnewWhileEventsMayBeOnTheirWayUntilAPersonAcceptsIt) {
  add(5);
  ASSERT_TRUE(relay_all());
  log_.shape(2, "second");
  add(5);
  const auto refused = relay_all();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kFatal);
  EXPECT_NE(refused.error().message.find("relay.accept_topic = second"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(outbox_.waiting(), 5u);
  options_.accepted_topic_id = "second";
  EXPECT_TRUE(relay_all());
  // From now on it is the topic.
  options_.accepted_topic_id.clear();
  add(5);
  EXPECT_TRUE(relay_all());
}

TEST_F(RelayTest, DeliversWhileProcessedRowsCannotBeRemoved) {
  outbox_.fail_removals(base::Error{base::ErrorKind::kUnavailable, "Lock wait timeout exceeded", 1205});
  CleanerOptions cleaning;
  cleaning.retention = 0ms;
  cleaning.interval = cleaning.retry_max = 1ms;
  OutboxCleaner cleaner(outbox_, clock_, cleaning);
  base::StopSignal stop;
  std::thread cleans([&] { cleaner.run(stop); });
  add(20);
  // Answers that come later leave rows in flight over many steps.
  log_.answer(false);
  std::uint64_t sent_again = 0;
  EXPECT_TRUE(relay_until([&](const Stats& stats) {
    if (log_.most_unanswered() == 20 && cleaner.stats().failures > 2) log_.answer(true);
    sent_again = stats.events_sent_again;
    return outbox_.waiting() == 0 && cleaner.stats().failures > 5;
  }));
  EXPECT_EQ(sent_again, 0u);
  EXPECT_EQ(outbox_.rows(), 20u);
  // What held it up is over.
  outbox_.fail_removals({});
  const Deadline deadline = soon();
  while (outbox_.rows() > 0 && !deadline.passed()) stop.wait_for(1ms);
  EXPECT_EQ(outbox_.rows(), 0u);
  stop.request();
  cleans.join();
  EXPECT_EQ(cleaner.stats().rows_removed, 20u);
}

TEST_F(RelayTest, CountsWhatItSendsAgain) {
  add(20);
  log_.answer(false);
  options_.call_timeout = 10ms;
  ASSERT_TRUE(relay_until([&](const Stats& stats) {
    if (stats.take_overs >= 2) log_.answer(true);
    return outbox_.waiting() == 0 && stats.events_sent_again >= 20;
  }));
}

}  // namespace
}  // namespace millrace::relay
