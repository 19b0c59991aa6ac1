// The transformer by itself, on a log in memory: what it writes, what it drops, what it puts aside, and where
// it resumes.
#include "transform/transformer.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/memory/memory_event_log.h"
#include "adapters/system/system_clock.h"
#include "domain/analytics_row.h"
#include "ports/record_headers.h"

namespace millrace::transform {
namespace {

using adapters::memory::LogFault;
using adapters::memory::LogOperation;
using std::chrono::milliseconds;

base::Deadline soon() {
  return base::Deadline::in(milliseconds(20'000));
}

std::string sample_event() {
  std::ifstream file(std::string(MILLRACE_GOLDEN_SAMPLES) + "/order_created.event.json");
  return {std::istreambuf_iterator<char>(file), {}};
}

class TransformerTest : public testing::Test {
 protected:
  TransformerTest() {
    options_.idle_wait = milliseconds(1);
    options_.commit_interval = milliseconds(0);
    EXPECT_TRUE(log_.ensure_topic(options_.input_topic, 2, soon()));
  }

  void append(std::int32_t partition, std::uint64_t event_id, std::uint64_t epoch,
              std::string value = sample_event()) {
    const ports::NewRecord record{"order",
                                  std::move(value),
                                  {{std::string(ports::kHeaderEventId), std::to_string(event_id)},
                                   {std::string(ports::kHeaderEpoch), std::to_string(epoch)}},
                                  base::utc_from_ms(1)};
    ASSERT_TRUE(log_.append({options_.input_topic, partition}, {&record, 1}, soon()));
  }

  /// Runs a transformer until `done`, then stops it.
  base::Result<void> run_until(const std::function<bool(const Stats&)>& done) {
    Transformer transformer(log_, clock_, options_);
    base::StopSignal stop;
    base::Result<void> outcome = {};
    std::thread thread([&] { outcome = transformer.run(stop); });
    const auto patience = soon();
    while (!done(transformer.stats()) && !patience.passed()) stop.wait_for(milliseconds(1));
    EXPECT_FALSE(patience.passed()) << "the transformer never got so far";
    stop.request();
    thread.join();
    return outcome;
  }
  [[nodiscard]] bool is_read_to_the_end() {
    for (std::int32_t partition = 0; partition < 2; ++partition) {
      const ports::TopicPartition input{options_.input_topic, partition};
      const auto committed = log_.committed(options_.group, input, soon());
      const auto range = log_.offsets(input, soon());
      if (!committed || !range || (*committed ? (*committed)->offset : 0) != range->end) return false;
    }
    return true;
  }
  void run_to_the_end() {
    EXPECT_TRUE(run_until([this](const Stats&) { return is_read_to_the_end(); }));
  }
  [[nodiscard]] std::vector<ports::Record> records_of(const std::string& topic, std::int32_t partition) {
    auto records = log_.read({topic, partition}, 0, {1'000, 10'000'000}, base::Deadline::in(milliseconds(0)));
    EXPECT_TRUE(records);
    return records ? *records : std::vector<ports::Record>{};
  }

  Options options_;
  adapters::memory::MemoryEventLog log_;
  adapters::system::SystemClock clock_;
};

TEST_F(TransformerTest, WritesEachEventsRowToThePartitionOfTheSameNumber) {
  append(0, 1, 1);
  append(1, 2, 1);
  append(1, 3, 1);
  run_to_the_end();
  ASSERT_EQ(records_of(options_.output_topic, 0).size(), 1U);
  const auto rows = records_of(options_.output_topic, 1);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].header(ports::kHeaderInputOffset), "0");
  EXPECT_EQ(rows[1].header(ports::kHeaderInputOffset), "1");
  EXPECT_TRUE(domain::parse_analytics_row(rows[0].value));
}

TEST_F(TransformerTest, DropsTheRepeatsOfAnEventAndWhatAFormerRelaySends) {
  append(0, 1, 1);
  append(0, 1, 2);  // sent again after a takeover
  append(0, 2, 2);
  append(0, 3, 1);  // of the relay that lost its lease
  EXPECT_TRUE(run_until([this](const Stats& now) {
    return is_read_to_the_end() && now.repeats_dropped == 1 && now.former_owner_dropped == 1;
  }));
  EXPECT_EQ(records_of(options_.output_topic, 0).size(), 2U);
}

TEST_F(TransformerTest, PutsAsideWhatItCannotReadAndGoesOn) {
  append(0, 1, 1, "no event");
  append(0, 2, 1);
  const ports::NewRecord foreign{"order", sample_event(), {}, base::utc_from_ms(1)};
  ASSERT_TRUE(log_.append({options_.input_topic, 0}, {&foreign, 1}, soon()));
  run_to_the_end();
  EXPECT_EQ(records_of(options_.output_topic, 0).size(), 1U);
  const auto letters = records_of(options_.dead_letter_topic, 0);
  ASSERT_EQ(letters.size(), 2U);
  EXPECT_EQ(letters[0].value, "no event");
}

TEST_F(TransformerTest, ResumesBehindItsCommitAndStillKnowsWhatCameBefore) {
  append(0, 1, 1);
  append(0, 2, 1);
  run_to_the_end();
  append(0, 2, 2);  // a repeat of what the first run has written
  append(0, 3, 2);
  run_to_the_end();
  EXPECT_EQ(records_of(options_.output_topic, 0).size(), 3U);
}

TEST_F(TransformerTest, WritesAllRowsThoughEveryKindOfCallFails) {
  for (std::uint64_t event = 1; event <= 20; ++event) append(static_cast<std::int32_t>(event % 2), event, 1);
  for (const LogOperation operation : {LogOperation::kRead, LogOperation::kAppend, LogOperation::kCommit,
                                       LogOperation::kAssignments, LogOperation::kDescribeTopic})
    log_.faults().set(operation, 2, LogFault::kFail);
  run_to_the_end();
  std::size_t distinct = 0;
  for (std::int32_t partition = 0; partition < 2; ++partition) {
    std::int64_t highest = -1;
    for (const ports::Record& row : records_of(options_.output_topic, partition)) {
      const std::int64_t offset = std::stoll(std::string(*row.header(ports::kHeaderInputOffset)));
      if (offset > highest) ++distinct;  // the others are repeats, which the sink drops
      highest = std::max(highest, offset);
    }
  }
  EXPECT_EQ(distinct, 20U);
}

TEST_F(TransformerTest, EndsWhenRecordsAreGoneThatItHadNotRead) {
  append(0, 1, 1);
  append(0, 2, 1);
  append(0, 3, 1);
  run_to_the_end();
  append(0, 4, 1);
  append(0, 5, 1);
  ASSERT_TRUE(log_.delete_records({options_.input_topic, 0}, 4, soon()));
  Transformer transformer(log_, clock_, options_);
  const base::StopSignal stop;
  const auto ended = transformer.run(stop);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind, base::ErrorKind::kFatal);
}

}  // namespace
}  // namespace millrace::transform
