// The three parts of the sink by themselves: what is collected into a batch, what is written of it, and when
// positions are recorded.
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/memory/memory_event_log.h"
#include "adapters/system/system_clock.h"
#include "sink/batch_collector.h"
#include "sink/batch_writer.h"
#include "sink/position_writer.h"
#include "support/memory_pipeline.h"

namespace millrace::sink {
namespace {

using std::chrono::milliseconds;

base::Deadline soon() {
  return base::Deadline::in(milliseconds(20'000));
}

domain::AnalyticsRow row_of(std::size_t number) {
  domain::AnalyticsRow row;
  row.event_id = domain::EventId(number + 1);
  row.order_id = domain::OrderId(fmt::format("order-{}", number));
  row.version = 1'767'225'600'000 + number;
  row.current.user_id = domain::UserId("user");
  row.current.order_date = base::utc_from_ms(1'767'225'600'000);
  row.current.total_amount = domain::Money::from_cents(100);
  return row;
}

class SinkParts : public testing::Test {
 protected:
  SinkParts() {
    options_.max_delay = milliseconds(0);
    options_.position_interval = milliseconds(0);
    options_.idle_wait = milliseconds(1);
    EXPECT_TRUE(log_.ensure_topic(options_.topic, 2, soon()));
    EXPECT_TRUE(log_.ensure_topic(options_.dead_letter_topic, 2, soon()));
    for (std::int32_t number = 0; number < 2; ++number) {
      Partition partition;
      partition.assignment = {{options_.topic, number}, 1};
      partition.topic_id = "topic-id";
      partition.source = fmt::format("topic-id/{}", number);
      partitions_.emplace(partition.assignment.partition, std::move(partition));
    }
  }

  void append(std::int32_t partition, std::string value, std::optional<std::int64_t> input_offset) {
    ports::NewRecord record{"order", std::move(value), {}, base::utc_from_ms(1)};
    if (input_offset) record.headers.push_back({"input-offset", std::to_string(*input_offset)});
    ASSERT_TRUE(log_.append({options_.topic, partition}, {&record, 1}, soon()));
  }
  void append_rows(std::int32_t partition, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      append(partition, domain::to_json(row_of(i)), static_cast<std::int64_t>(i));
  }

  Partition& partition(std::int32_t number) { return partitions_.at({options_.topic, number}); }
  base::Result<bool> collect() {
    return collector_.collect(partitions_, stop_, [&]() -> base::Result<milliseconds> {
      ++idle_calls_;
      return options_.idle_wait;
    });
  }

  Options options_;
  Stats stats_;
  adapters::memory::MemoryEventLog log_;
  adapters::system::SystemClock clock_;
  test::CallDial dial_;
  test::MemoryTables tables_{dial_};
  Partitions partitions_;
  base::StopSignal stop_;
  int idle_calls_ = 0;
  BatchCollector collector_{log_, clock_, options_, stats_};
  BatchWriter writer_{log_, tables_, clock_, options_, stats_};
  PositionWriter position_writer_{tables_, clock_, options_};
};

TEST_F(SinkParts, CollectNoMoreRowsThanABatchTakesAndGoOnBehindThem) {
  options_.batch_rows_max = 3;
  append_rows(0, 5);
  ASSERT_EQ(collect(), true);
  EXPECT_EQ(partition(0).pending.size(), 3U);
  EXPECT_EQ(partition(0).read, (SinkPosition{3, 2}));
  EXPECT_EQ(partition(0).loaded, SinkPosition{});
  partition(0).pending.clear();
  ASSERT_EQ(collect(), true);
  EXPECT_EQ(partition(0).pending.size(), 2U);
  EXPECT_EQ(partition(0).read, (SinkPosition{5, 4}));
}

TEST_F(SinkParts, GiveEachPartitionItsShareOfABatch) {
  options_.batch_rows_max = 4;
  append_rows(0, 100);
  append_rows(1, 2);
  ASSERT_EQ(collect(), true);
  EXPECT_EQ(partition(0).pending.size(), 2U);
  EXPECT_EQ(partition(1).pending.size(), 2U);
}

TEST_F(SinkParts, DropRepeatsByTheirInputOffset) {
  append_rows(0, 3);
  append(0, domain::to_json(row_of(1)), 1);
  append(0, domain::to_json(row_of(3)), 3);
  ASSERT_EQ(collect(), true);
  EXPECT_EQ(partition(0).pending.size(), 4U);
  EXPECT_EQ(partition(0).read, (SinkPosition{5, 3}));
  EXPECT_EQ(stats_.repeats_dropped, 1U);
}

TEST_F(SinkParts, PutAsideWhatIsNoRowAndTakeTheRest) {
  append(0, "no JSON", 0);
  append(0, domain::to_json(row_of(1)), std::nullopt);
  append(0, domain::to_json(row_of(2)), 2);
  ASSERT_EQ(collect(), true);
  EXPECT_EQ(partition(0).pending.size(), 1U);
  EXPECT_EQ(stats_.dead_letters, 2U);
  const auto letters = log_.offsets({options_.dead_letter_topic, 0}, soon());
  ASSERT_TRUE(letters);
  EXPECT_EQ(letters->end, 2);
}

TEST_F(SinkParts, AskWhatToDoWhileNoRecordComes) {
  EXPECT_EQ(collect(), false);
  EXPECT_GE(idle_calls_, 1);
  EXPECT_TRUE(partition(0).pending.empty());
}

TEST_F(SinkParts, EndACollectionWithTheErrorOfItsIdleWork) {
  const auto collected = collector_.collect(
      partitions_, stop_, []() -> base::Result<milliseconds> { return base::unavailable("away"); });
  ASSERT_FALSE(collected);
  EXPECT_EQ(collected.error().message, "away");
}

TEST_F(SinkParts, WriteABatchAndTakeItOffThePartitions) {
  append_rows(0, 3);
  append_rows(1, 2);
  ASSERT_EQ(collect(), true);
  ASSERT_TRUE(writer_.write(partitions_, {}, stop_));
  EXPECT_EQ(stats_.batches, 1U);
  EXPECT_EQ(stats_.rows_loaded, 5U);
  for (const auto& [key, partition] : partitions_) {
    EXPECT_TRUE(partition.pending.empty());
    EXPECT_EQ(partition.loaded, partition.read);
  }
  // Of three orders of one day, one of them in both partitions: the newest version stands once.
  EXPECT_EQ(tables_.base_rows().size(), 3U);
}

TEST_F(SinkParts, KeepWhereTheyStandWhenAnInsertFails) {
  append_rows(0, 3);
  ASSERT_EQ(collect(), true);
  dial_.arm(3,
            test::Fault::kFail);  // one of the two inserts, behind the warehouse's time and the purged orders
  EXPECT_FALSE(writer_.write(partitions_, {}, stop_));
  EXPECT_EQ(partition(0).loaded, SinkPosition{});
  EXPECT_EQ(partition(0).pending.size(), 3U);
  EXPECT_EQ(stats_.half_batches, 1U);
  EXPECT_EQ(stats_.batches, 0U);
}

TEST_F(SinkParts, RecordAPositionOnlyOnceItIsWritten) {
  partition(0).loaded = partition(0).read = {7, 6};
  ASSERT_TRUE(position_writer_.advance(partitions_));
  EXPECT_TRUE(position_writer_.is_writing());
  EXPECT_EQ(partition(0).recorded, SinkPosition{});
  ASSERT_TRUE(position_writer_.finish(partitions_));
  EXPECT_FALSE(position_writer_.is_writing());
  EXPECT_EQ(partition(0).recorded, (SinkPosition{7, 6}));
  EXPECT_EQ(tables_.position("topic-id/0", soon()), (SinkPosition{7, 6}));
}

TEST_F(SinkParts, ReportAPositionThatCouldNotBeWritten) {
  partition(0).loaded = {7, 6};
  dial_.arm(1, test::Fault::kFail);
  EXPECT_FALSE(position_writer_.finish(partitions_));
  EXPECT_EQ(partition(0).recorded, SinkPosition{});
}

TEST_F(SinkParts, WriteNoPositionBeforeItsIntervalIsOver) {
  options_.position_interval = std::chrono::hours(1);
  partition(0).loaded = {1, 0};
  ASSERT_TRUE(position_writer_.advance(partitions_));
  while (position_writer_.is_writing() && !partition(0).recorded.as_of_offset)
    ASSERT_TRUE(position_writer_.advance(partitions_));
  partition(0).loaded = {2, 1};
  ASSERT_TRUE(position_writer_.advance(partitions_));
  EXPECT_FALSE(position_writer_.is_writing());
  ASSERT_TRUE(position_writer_.finish(partitions_));
  EXPECT_EQ(partition(0).recorded, (SinkPosition{2, 1}));
}

TEST_F(SinkParts, ForgetAPartitionThatHasPassedToAnother) {
  partition(1).loaded = {4, 3};
  ASSERT_TRUE(position_writer_.advance(partitions_));
  partitions_.erase({options_.topic, 1});
  EXPECT_TRUE(position_writer_.finish(partitions_));
}

}  // namespace
}  // namespace millrace::sink
