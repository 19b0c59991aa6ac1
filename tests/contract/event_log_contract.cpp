#include "contract/event_log_contract.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "base/uuid.h"

namespace millrace::contract {
namespace {

using base::Deadline;
using base::ErrorKind;
using ports::Assignment;
using ports::EventLog;
using ports::NewRecord;
using ports::ReadLimit;
using ports::Record;
using ports::TopicPartition;

constexpr ReadLimit kMany{1'000'000, std::size_t{1} << 30u};

Deadline soon() {
  return Deadline::in(std::chrono::seconds(30));
}
Deadline now() {
  return Deadline::in(std::chrono::milliseconds(0));
}

NewRecord record(std::string value, std::string key = "key") {
  return {std::move(key), std::move(value), {}, base::utc_from_ms(1'767'225'600'123)};
}

std::vector<NewRecord> numbered(int first, int count) {
  std::vector<NewRecord> records;
  for (int i = first; i < first + count; ++i) records.push_back(record(std::to_string(i)));
  return records;
}

template <class Records>
std::vector<std::string> values(const Records& records) {
  std::vector<std::string> texts;
  for (const auto& entry : records) texts.push_back(entry.value);
  return texts;
}

/// Asks until it is done.
base::Result<bool> finished(ports::PendingAppend& append) {
  const Deadline deadline = soon();
  auto done = append.wait(Deadline::in(std::chrono::milliseconds(5)));
  while (done && !*done && !deadline.passed()) done = append.wait(Deadline::in(std::chrono::milliseconds(5)));
  return done;
}

/// The error's kind; kFatal's dependency for a success would hide it, so a success is a failure of the test.
template <class T>
ErrorKind kind_of(const base::Result<T>& result) {
  if (result) {
    ADD_FAILURE() << "there was no error";
    return ErrorKind::kFatal;
  }
  EXPECT_FALSE(result.error().message.empty());
  return result.error().kind;
}

template <class T>
T must(base::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Waits for the member to own something; empty if it does not come to it.
std::vector<Assignment> own(ports::GroupMember& member) {
  for (const Deadline deadline = soon(); !deadline.passed();) {
    auto mine = must(member.assignments(soon()));
    if (!mine.empty()) return mine;
    std::this_thread::yield();
  }
  return {};
}

/// Reads up to the end, from `offset` on.
std::vector<Record> read_all(EventLog& log, const TopicPartition& partition, std::int64_t offset = 0) {
  std::vector<Record> all;
  const std::int64_t end = must(log.offsets(partition, soon())).end;
  while (offset < end) {
    auto records = must(log.read(partition, offset, {7, 1'000'000}, soon()));
    if (records.empty()) throw std::runtime_error("nothing came before the end");
    offset = records.back().offset + 1;
    std::ranges::move(records, std::back_inserter(all));
  }
  return all;
}

}  // namespace

std::string EventLogContract::make_topic(std::int32_t partitions) {
  const std::string topic = "test." + base::uuid_v7({}).substr(24);
  must(log().ensure_topic(topic, partitions, soon()));
  return topic;
}

// Topics

TEST_P(EventLogContract, MakesATopicOnceAndKnowsItFromThen) {
  const std::string topic = make_topic(3);
  const auto again = must(log().ensure_topic(topic, 3, soon()));
  const auto described = must(log().describe_topic(topic, soon()));
  EXPECT_EQ(again.topic, topic);
  EXPECT_EQ(again.partitions, 3);
  EXPECT_FALSE(again.topic_id.empty());
  EXPECT_EQ(described.partitions, 3);
  EXPECT_EQ(described.topic_id, again.topic_id);
}

TEST_P(EventLogContract, GivesTopicsDifferentIds) {
  EXPECT_NE(must(log().describe_topic(make_topic(), soon())).topic_id,
            must(log().describe_topic(make_topic(), soon())).topic_id);
}

TEST_P(EventLogContract, RefusesATopicThatIsThereWithAnotherNumberOfPartitions) {
  const std::string topic = make_topic(2);
  EXPECT_EQ(kind_of(log().ensure_topic(topic, 3, soon())), ErrorKind::kConflict);
  EXPECT_EQ(must(log().describe_topic(topic, soon())).partitions, 2);
}

TEST_P(EventLogContract, RefusesNamesAndNumbersThatNoTopicCanHave) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a b"), std::string("a/b"),
        std::string("ä"), std::string("a\0b", 3), std::string(250, 'a')})
    EXPECT_EQ(kind_of(log().ensure_topic(name, 1, soon())), ErrorKind::kInvalid) << name;
  EXPECT_EQ(kind_of(log().ensure_topic("a", 0, soon())), ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(log().ensure_topic("a", -1, soon())), ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(log().describe_topic("a", soon())), ErrorKind::kNotFound);
}

TEST_P(EventLogContract, TakesTheLongestNameAndEveryAllowedKindOfCharacter) {
  std::string name = "Az09._-" + base::uuid_v7({}).substr(24);
  name.resize(249, 'z');
  EXPECT_EQ(must(log().ensure_topic(name, 1, soon())).topic, name);
}

TEST_P(EventLogContract, ListsTopicsByName) {
  const std::string first = make_topic(1);
  const std::string second = make_topic(2);
  const auto topics = must(log().list_topics(soon()));
  EXPECT_TRUE(std::ranges::is_sorted(topics, {}, &ports::TopicInfo::topic));
  for (const auto& [name, partitions] : {std::pair(first, 1), std::pair(second, 2)}) {
    const auto found = std::ranges::find(topics, name, &ports::TopicInfo::topic);
    ASSERT_NE(found, topics.end());
    EXPECT_EQ(found->partitions, partitions);
    EXPECT_EQ(found->topic_id, must(log().describe_topic(name, soon())).topic_id);
  }
}

TEST_P(EventLogContract, SaysNotFoundForATopicOrPartitionThatIsNotThere) {
  const std::string topic = make_topic(2);
  for (const TopicPartition& partition :
       {TopicPartition{"not-there", 0}, TopicPartition{topic, 2}, TopicPartition{topic, -1}}) {
    EXPECT_EQ(kind_of(log().append(partition, numbered(0, 1), soon())), ErrorKind::kNotFound);
    EXPECT_EQ(kind_of(log().read(partition, 0, kMany, now())), ErrorKind::kNotFound);
    EXPECT_EQ(kind_of(log().wait_any(std::vector<ports::LogPosition>{{partition, 0}}, now())),
              ErrorKind::kNotFound);
    EXPECT_EQ(kind_of(log().read_before(partition, 0, 1, soon())), ErrorKind::kNotFound);
    EXPECT_EQ(kind_of(log().offsets(partition, soon())), ErrorKind::kNotFound);
    EXPECT_EQ(kind_of(log().delete_records(partition, 0, soon())), ErrorKind::kNotFound);
  }
  EXPECT_EQ(kind_of(log().describe_topic("not-there", soon())), ErrorKind::kNotFound);
  EXPECT_EQ(kind_of(log().join("group", "not-there", soon())), ErrorKind::kNotFound);
}

// Append and read

TEST_P(EventLogContract, GivesBackRecordsAsTheyWereAppended) {
  const TopicPartition partition{make_topic(), 0};
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  const std::vector<NewRecord> appended = {
      {"key", "value", {{"a", "1"}, {"b", ""}, {"a", "2"}}, base::utc_from_ms(1'767'225'600'123)},
      {"", "", {}, base::utc_from_ms(1)},
      {all_bytes, all_bytes + all_bytes, {{"bytes", all_bytes}}, base::utc_from_ms(253'402'300'799'999)},
      {"long", std::string(100'000, 'x'), {{std::string(300, 'n'), "v"}}, base::utc_from_ms(1)},
  };
  const std::int64_t first = must(log().append(partition, appended, soon()));
  const auto records = read_all(log(), partition);
  ASSERT_EQ(records.size(), appended.size());
  EXPECT_EQ(records[0].offset, first);
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].key, appended[i].key);
    EXPECT_EQ(records[i].value, appended[i].value);
    EXPECT_EQ(records[i].headers, appended[i].headers);
    EXPECT_EQ(records[i].time, appended[i].time);
  }
  EXPECT_EQ(records[0].header("a"), "1");
  EXPECT_EQ(records[0].header("b"), "");
  EXPECT_EQ(records[0].header("c"), std::nullopt);
}

TEST_P(EventLogContract, AppendsInOrderWithRisingOffsets) {
  const TopicPartition partition{make_topic(), 0};
  EXPECT_EQ(must(log().offsets(partition, soon())).begin, 0);
  EXPECT_EQ(must(log().offsets(partition, soon())).end, 0);
  std::vector<std::string> expected;
  for (int batch = 0; batch < 20; ++batch) {
    const auto records = numbered(batch * 10, batch % 4 + 1);
    const std::int64_t end = must(log().offsets(partition, soon())).end;
    EXPECT_EQ(must(log().append(partition, records, soon())), end);
    for (const auto& text : values(records)) expected.push_back(text);
  }
  const auto records = read_all(log(), partition);
  EXPECT_EQ(values(records), expected);
  for (std::size_t i = 1; i < records.size(); ++i) EXPECT_LT(records[i - 1].offset, records[i].offset);
}

TEST_P(EventLogContract, KeepsPartitionsAndTopicsApart) {
  const std::string topic = make_topic(2);
  const std::string other = make_topic(1);
  must(log().append({topic, 0}, numbered(0, 3), soon()));
  must(log().append({topic, 1}, numbered(10, 2), soon()));
  must(log().append({other, 0}, numbered(20, 1), soon()));
  EXPECT_EQ(values(read_all(log(), {topic, 0})), (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(values(read_all(log(), {topic, 1})), (std::vector<std::string>{"10", "11"}));
  EXPECT_EQ(values(read_all(log(), {other, 0})), (std::vector<std::string>{"20"}));
}

TEST_P(EventLogContract, AppendsNothingWhenGivenNothing) {
  const TopicPartition partition{make_topic(), 0};
  must(log().append(partition, numbered(0, 2), soon()));
  EXPECT_TRUE(log().append(partition, {}, soon()).has_value());
  EXPECT_EQ(must(log().offsets(partition, soon())).end, 2);
}

TEST_P(EventLogContract, RejectsARecordThatIsTooLargeAndAppendsNothingOfItsBatch) {
  const TopicPartition partition{make_topic(), 0};
  const std::size_t bytes_max = log().record_bytes_max();
  std::vector<NewRecord> records = numbered(0, 2);
  records.push_back({"key", std::string(bytes_max - 3 - 3, 'x'), {{"n", "v!"}}, {}});
  records[2].value += 'x';
  EXPECT_EQ(kind_of(log().append(partition, records, soon())), ErrorKind::kRejected);
  EXPECT_EQ(must(log().offsets(partition, soon())).end, 0);
  records[2].value.pop_back();
  must(log().append(partition, records, soon()));
  EXPECT_EQ(read_all(log(), partition).at(2).value, records[2].value);
}

TEST_P(EventLogContract, AppendsToSeveralPartitionsAtOnceEachInTheOrderOfTheStarts) {
  const std::string topic = make_topic(3);
  std::vector<std::unique_ptr<ports::PendingAppend>> pending;
  for (int round = 0; round < 5; ++round)
    pending.push_back(
        must(log().start_append(std::vector<ports::PartitionRecords>{{{topic, 0}, numbered(round * 2, 2)},
                                                                     {{topic, 2}, numbered(round * 3, 3)}},
                                soon())));
  for (const auto& append : pending) EXPECT_TRUE(must(finished(*append)));
  EXPECT_EQ(values(read_all(log(), {topic, 0})), values(numbered(0, 10)));
  EXPECT_EQ(read_all(log(), {topic, 1}).size(), 0u);
  EXPECT_EQ(values(read_all(log(), {topic, 2})), values(numbered(0, 15)));
}

TEST_P(EventLogContract, CarriesOutAnAppendThatNobodyWaitsFor) {
  const std::string topic = make_topic(2);
  must(log().start_append(std::vector<ports::PartitionRecords>{{{topic, 1}, numbered(0, 100)}}, soon()))
      .reset();
  const auto last =
      must(log().start_append(std::vector<ports::PartitionRecords>{{{topic, 1}, numbered(100, 1)}}, soon()));
  EXPECT_TRUE(must(finished(*last)));
  EXPECT_EQ(values(read_all(log(), {topic, 1})), values(numbered(0, 101)));
}

TEST_P(EventLogContract, SaysWhatIsWrongWithAnAppendToSeveralPartitions) {
  const std::string topic = make_topic(2);
  const auto start = [&](std::int32_t partition, NewRecord entry) {
    return kind_of(log().start_append(
        std::vector<ports::PartitionRecords>{{{topic, partition}, {std::move(entry)}}}, soon()));
  };
  EXPECT_EQ(start(2, record("x")), ErrorKind::kNotFound);
  EXPECT_EQ(start(0, record(std::string(log().record_bytes_max(), 'x'))), ErrorKind::kRejected);
  EXPECT_TRUE(must(finished(*must(log().start_append({}, soon())))));
}

TEST_P(EventLogContract, ReadsNoMoreRecordsThanAskedFor) {
  const TopicPartition partition{make_topic(), 0};
  must(log().append(partition, numbered(0, 10), soon()));
  EXPECT_EQ(values(must(log().read(partition, 2, {3, 1'000'000}, soon()))),
            (std::vector<std::string>{"2", "3", "4"}));
}

TEST_P(EventLogContract, ReadsNoMoreBytesThanAskedForButAlwaysTheFirstRecord) {
  const TopicPartition partition{make_topic(), 0};
  std::vector<NewRecord> records(3, NewRecord{"kk", std::string(96, 'v'), {{"h", "w"}}, {}});
  must(log().append(partition, records, soon()));
  EXPECT_EQ(must(log().read(partition, 0, {10, 200}, soon())).size(), 2u);
  EXPECT_EQ(must(log().read(partition, 0, {10, 199}, soon())).size(), 1u);
  EXPECT_EQ(must(log().read(partition, 0, {10, 1}, soon())).size(), 1u);
}

TEST_P(EventLogContract, ReadsNothingAtTheEndWhenTheDeadlineComesFirst) {
  const TopicPartition partition{make_topic(), 0};
  EXPECT_TRUE(must(log().read(partition, 0, kMany, now())).empty());
  must(log().append(partition, numbered(0, 2), soon()));
  EXPECT_TRUE(must(log().read(partition, 2, kMany, Deadline::in(std::chrono::milliseconds(20)))).empty());
}

TEST_P(EventLogContract, ReadsWhatIsThereEvenWhenTheDeadlineHasPassed) {
  const TopicPartition partition{make_topic(), 0};
  must(log().append(partition, numbered(0, 2), soon()));
  for (const Deadline deadline = soon(); !deadline.passed();)
    if (!must(log().read(partition, 0, kMany, now())).empty()) return;
  FAIL() << "reading without waiting never found the records";
}

TEST_P(EventLogContract, WakesEveryReaderThatWaits) {
  const TopicPartition partition{make_topic(), 0};
  std::vector<std::jthread> readers;
  std::atomic<int> woken = 0;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&] {
      const auto records = log().read(partition, 0, kMany, soon());
      if (records && values(*records) == std::vector<std::string>{"0"}) ++woken;
    });
  must(log().append(partition, numbered(0, 1), soon()));
  readers.clear();
  EXPECT_EQ(woken.load(), 4);
}

TEST_P(EventLogContract, RefusesToReadOutsideOfTheLog) {
  const TopicPartition partition{make_topic(), 0};
  must(log().append(partition, numbered(0, 3), soon()));
  EXPECT_EQ(kind_of(log().read(partition, 4, kMany, soon())), ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(log().read(partition, -1, kMany, soon())), ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(log().read_before(partition, 4, 1, soon())), ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(log().read_before(partition, -1, 1, soon())), ErrorKind::kInvalid);
}

TEST_P(EventLogContract, TakesAppendsOfManyThreadsWhileOthersRead) {
  const std::string topic = make_topic(2);
  constexpr int kThreads = 4;
  constexpr int kBatches = 25;
  constexpr int kBatchRecords = 3;
  std::atomic<bool> misplaced = false;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      const TopicPartition partition{topic, t % 2};
      for (int b = 0; b < kBatches; ++b) {
        const auto batch = numbered((t * kBatches + b) * kBatchRecords, kBatchRecords);
        const auto first = log().append(partition, batch, soon());
        if (!first) throw std::runtime_error(first.error().message);
        // A read may bring less than what is there.
        std::vector<Record> back;
        while (back.size() < kBatchRecords) {
          auto some = log().read(partition, back.empty() ? *first : back.back().offset + 1,
                                 {kBatchRecords - back.size(), 1'000'000}, soon());
          if (!some || some->empty()) break;
          std::ranges::move(*some, std::back_inserter(back));
        }
        if (values(back) != values(batch)) misplaced = true;
      }
    });
  std::vector<std::vector<Record>> seen(2);
  for (std::int32_t p = 0; p < 2; ++p)
    threads.emplace_back([&, p] {
      auto& mine = seen[static_cast<std::size_t>(p)];
      const Deadline deadline = soon();
      while (mine.size() < kThreads / 2 * kBatches * kBatchRecords && !deadline.passed()) {
        auto records =
            must(log().read({topic, p}, mine.empty() ? 0 : mine.back().offset + 1, {5, 1'000'000}, deadline));
        std::ranges::move(records, std::back_inserter(mine));
      }
    });
  threads.clear();
  EXPECT_FALSE(misplaced);
  for (std::int32_t p = 0; p < 2; ++p)
    EXPECT_EQ(values(seen[static_cast<std::size_t>(p)]), values(read_all(log(), {topic, p})));
}

// Waiting on many partitions

TEST_P(EventLogContract, WaitsForAnyOfSeveralPartitions) {
  const std::string topic = make_topic(3);
  const std::vector<ports::LogPosition> positions = {{{topic, 0}, 0}, {{topic, 1}, 0}, {{topic, 2}, 1}};
  EXPECT_FALSE(must(log().wait_any(positions, Deadline::in(std::chrono::milliseconds(10)))));
  must(log().append({topic, 2}, numbered(0, 1), soon()));
  EXPECT_FALSE(must(log().wait_any(positions, Deadline::in(std::chrono::milliseconds(10)))));
  std::jthread writer([&] { must(log().append({topic, 1}, numbered(0, 1), soon())); });
  EXPECT_TRUE(must(log().wait_any(positions, soon())));
}

TEST_P(EventLogContract, DoesNotWaitForWhatIsThereAlready) {
  const std::string topic = make_topic(2);
  must(log().append({topic, 1}, numbered(0, 2), soon()));
  EXPECT_TRUE(
      must(log().wait_any(std::vector<ports::LogPosition>{{{topic, 0}, 0}, {{topic, 1}, 1}}, soon())));
}

TEST_P(EventLogContract, WaitsInVainWhenThereIsNoPositionToWaitFor) {
  EXPECT_FALSE(must(log().wait_any({}, Deadline::in(std::chrono::milliseconds(10)))));
}

// Reading back

/// How many records a shared read brought of partition 0, 1 and 2.
using Counts = std::array<std::size_t, 3>;

/// Reads once from the beginning of three partitions; all that they hold may be had without waiting.
Counts counts_of(EventLog& log, const std::string& topic, ReadLimit limit, std::size_t turn) {
  std::vector<ports::LogPosition> positions;
  for (const std::int32_t partition : {0, 1, 2}) {
    positions.push_back({{topic, partition}, 0});
    if (must(log.offsets(positions.back().partition, soon())).end > 0) {
      EXPECT_TRUE(must(log.wait_any({&positions.back(), 1}, soon())));
    }
  }
  Counts counts{};
  for (const ports::PartitionRead& read : must(ports::read_shared(log, positions, limit, turn))) {
    EXPECT_EQ(read.partition.topic, topic);
    for (std::size_t i = 0; i < read.records.size(); ++i) EXPECT_EQ(read.records[i].value, std::to_string(i));
    counts.at(static_cast<std::size_t>(read.partition.partition)) += read.records.size();
  }
  return counts;
}

TEST_P(EventLogContract, SharesAReadSoThatABacklogInOnePartitionHoldsUpNoOther) {
  const std::string topic = make_topic(3);
  must(log().append({topic, 0}, numbered(0, 500), soon()));
  must(log().append({topic, 1}, numbered(0, 10), soon()));
  must(log().append({topic, 2}, numbered(0, 10), soon()));
  for (const std::size_t turn : {0u, 1u, 2u, 3u})
    EXPECT_EQ(counts_of(log(), topic, {60, 1'000'000}, turn), (Counts{40, 10, 10})) << turn;
  EXPECT_EQ(counts_of(log(), topic, {15, 1'000'000}, 0), (Counts{5, 5, 5}));
}

TEST_P(EventLogContract, SharesTheBytesOfAReadToo) {
  const std::string topic = make_topic(3);
  for (const std::int32_t partition : {0, 1, 2})
    must(log().append({topic, partition}, numbered(0, partition == 0 ? 10 : 2), soon()));
  // Of each record 4 bytes: "key" and a digit.
  EXPECT_EQ(counts_of(log(), topic, {1'000, 32}, 0), (Counts{4, 2, 2}));
  EXPECT_EQ(counts_of(log(), topic, {1'000, 12}, 1), (Counts{1, 1, 1}));
}

TEST_P(EventLogContract, GivesAllOfAReadToTheOnlyPartitionThatHasRecords) {
  const std::string topic = make_topic(3);
  EXPECT_EQ(counts_of(log(), topic, {60, 1'000'000}, 0), Counts{});
  must(log().append({topic, 1}, numbered(0, 100), soon()));
  EXPECT_EQ(counts_of(log(), topic, {60, 1'000'000}, 0), (Counts{0, 60, 0}));
}

TEST_P(EventLogContract, GivesEachPartitionItsTurnWhenAReadIsTooSmallForAll) {
  const std::string topic = make_topic(3);
  for (const std::int32_t partition : {0, 1, 2})
    must(log().append({topic, partition}, numbered(0, 5), soon()));
  EXPECT_EQ(counts_of(log(), topic, {1, 1'000'000}, 0), (Counts{1, 0, 0}));
  EXPECT_EQ(counts_of(log(), topic, {1, 1'000'000}, 1), (Counts{0, 1, 0}));
  EXPECT_EQ(counts_of(log(), topic, {2, 1'000'000}, 5), (Counts{1, 0, 1}));
}

TEST_P(EventLogContract, ReadsBackTheLastRecordsBeforeAPosition) {
  const TopicPartition partition{make_topic(), 0};
  must(log().append(partition, numbered(0, 10), soon()));
  EXPECT_EQ(values(must(log().read_before(partition, 10, 3, soon()))),
            (std::vector<std::string>{"7", "8", "9"}));
  EXPECT_EQ(values(must(log().read_before(partition, 4, 2, soon()))), (std::vector<std::string>{"2", "3"}));
  EXPECT_EQ(must(log().read_before(partition, 4, 2, soon())).at(0).offset, 2);
  EXPECT_EQ(values(must(log().read_before(partition, 2, 100, soon()))), (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ(must(log().read_before(partition, 10, std::numeric_limits<std::size_t>::max(), soon())).size(),
            10u);
  EXPECT_TRUE(must(log().read_before(partition, 0, 5, soon())).empty());
  EXPECT_TRUE(must(log().read_before(partition, 5, 0, soon())).empty());
}

// Trim

TEST_P(EventLogContract, TrimsTheBeginningAndKeepsTheRest) {
  const std::string topic = make_topic(2);
  must(log().append({topic, 0}, numbered(0, 10), soon()));
  must(log().append({topic, 1}, numbered(0, 10), soon()));
  must(log().delete_records({topic, 0}, 4, soon()));
  EXPECT_EQ(must(log().offsets({topic, 0}, soon())).begin, 4);
  EXPECT_EQ(must(log().offsets({topic, 0}, soon())).end, 10);
  EXPECT_EQ(kind_of(log().read({topic, 0}, 3, kMany, soon())), ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(log().read_before({topic, 0}, 3, 1, soon())), ErrorKind::kInvalid);
  EXPECT_EQ(read_all(log(), {topic, 0}, 4).size(), 6u);
  EXPECT_EQ(values(must(log().read_before({topic, 0}, 6, 100, soon()))),
            (std::vector<std::string>{"4", "5"}));
  EXPECT_TRUE(must(log().read_before({topic, 0}, 4, 100, soon())).empty());
  EXPECT_EQ(read_all(log(), {topic, 1}).size(), 10u);
}

TEST_P(EventLogContract, TrimsAtMostToTheEndAndNeverBack) {
  const TopicPartition partition{make_topic(), 0};
  must(log().append(partition, numbered(0, 5), soon()));
  must(log().delete_records(partition, 3, soon()));
  must(log().delete_records(partition, 1, soon()));
  EXPECT_EQ(must(log().offsets(partition, soon())).begin, 3);
  must(log().delete_records(partition, 1'000, soon()));
  EXPECT_EQ(must(log().offsets(partition, soon())).begin, 5);
  EXPECT_EQ(must(log().append(partition, numbered(5, 2), soon())), 5);
  EXPECT_EQ(values(read_all(log(), partition, 5)), (std::vector<std::string>{"5", "6"}));
}

// Groups

TEST_P(EventLogContract, GivesEveryPartitionToAMember) {
  const std::string topic = make_topic(3);
  const auto member = must(log().join("group-" + topic, topic, soon()));
  const auto mine = own(*member);
  ASSERT_EQ(mine.size(), 3u);
  for (std::int32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(mine[static_cast<std::size_t>(i)].partition, (TopicPartition{topic, i}));
  }
  EXPECT_EQ(own(*member), mine);
}

TEST_P(EventLogContract, KeepsACommittedOffsetForItsGroupAlone) {
  const std::string topic = make_topic(2);
  const std::string group = "group-" + topic;
  EXPECT_EQ(must(log().committed(group, {topic, 1}, soon())), std::nullopt);
  const auto member = must(log().join(group, topic, soon()));
  const auto mine = own(*member);
  must(member->commit(mine.at(1), {7, "first"}, soon()));
  must(member->commit(mine.at(1), {9, "second"}, soon()));
  const auto committed = must(log().committed(group, {topic, 1}, soon()));
  ASSERT_TRUE(committed.has_value());
  EXPECT_EQ(committed->offset, 9);
  EXPECT_EQ(committed->metadata, "second");
  EXPECT_EQ(must(log().committed(group, {topic, 0}, soon())), std::nullopt);
  EXPECT_EQ(must(log().committed(group + "-other", {topic, 1}, soon())), std::nullopt);
  EXPECT_EQ(must(log().committed(group, {"not-there", 0}, soon())), std::nullopt);
}

TEST_P(EventLogContract, CommitsForSeveralPartitionsAtOnceAndChecksEach) {
  const std::string topic = make_topic(3);
  const auto member = must(log().join("group." + topic, topic, soon()));
  const auto mine = own(*member);
  ASSERT_EQ(mine.size(), 3u);
  must(member->commit_all(std::vector<ports::AssignmentCommit>{}, soon()));
  must(member->commit_all(std::vector<ports::AssignmentCommit>{{mine[0], {1, "zero"}}, {mine[2], {3, "two"}}},
                          soon()));
  EXPECT_EQ(must(log().committed("group." + topic, {topic, 0}, soon()))->metadata, "zero");
  EXPECT_FALSE(must(log().committed("group." + topic, {topic, 1}, soon())));
  EXPECT_EQ(must(log().committed("group." + topic, {topic, 2}, soon()))->offset, 3);
  Assignment former = mine[1];
  --former.generation;
  EXPECT_EQ(kind_of(member->commit_all(
                std::vector<ports::AssignmentCommit>{{mine[0], {2, ""}}, {former, {9, ""}}}, soon())),
            ErrorKind::kConflict);
  EXPECT_FALSE(must(log().committed("group." + topic, {topic, 1}, soon())));
}

TEST_P(EventLogContract, TakesMetadataUpToItsBound) {
  const std::string topic = make_topic();
  const auto member = must(log().join("group-" + topic, topic, soon()));
  const auto mine = own(*member);
  const std::string longest(4'096, 'm');
  must(member->commit(mine.at(0), {1, longest}, soon()));
  EXPECT_EQ(kind_of(member->commit(mine.at(0), {2, longest + "m"}, soon())), ErrorKind::kInvalid);
  const auto committed = must(log().committed("group-" + topic, {topic, 0}, soon()));
  ASSERT_TRUE(committed.has_value());
  EXPECT_EQ(committed->offset, 1);
  EXPECT_EQ(committed->metadata, longest);
}

TEST_P(EventLogContract, LetsAnotherMemberTakeOverWithAHigherGeneration) {
  const std::string topic = make_topic();
  const std::string group = "group-" + topic;
  auto first = must(log().join(group, topic, soon()));
  const auto of_first = own(*first);
  auto second = must(log().join(group, topic, soon()));
  EXPECT_EQ(must(second->assignments(soon())).size() + own(*first).size(), 1u);
  first.reset();
  const auto of_second = own(*second);
  ASSERT_EQ(of_second.size(), 1u);
  EXPECT_EQ(of_second[0].partition, of_first.at(0).partition);
  EXPECT_GT(of_second[0].generation, of_first.at(0).generation);
}

TEST_P(EventLogContract, RefusesTheCommitOfAnAssignmentThatHasPassedOn) {
  const std::string topic = make_topic();
  const std::string group = "group-" + topic;
  auto first = must(log().join(group, topic, soon()));
  const auto old = own(*first);
  must(first->commit(old.at(0), {1, ""}, soon()));
  auto second = must(log().join(group, topic, soon()));
  EXPECT_EQ(kind_of(second->commit(old.at(0), {2, ""}, soon())), ErrorKind::kConflict);
  first.reset();
  const auto mine = own(*second);
  EXPECT_EQ(kind_of(second->commit(old.at(0), {3, ""}, soon())), ErrorKind::kConflict);
  EXPECT_EQ(must(log().committed(group, {topic, 0}, soon()))->offset, 1);
  must(second->commit(mine.at(0), {4, ""}, soon()));
  EXPECT_EQ(must(log().committed(group, {topic, 0}, soon()))->offset, 4);
}

TEST_P(EventLogContract, RefusesTheCommitOfAPartitionThatIsNotTheMembers) {
  const std::string topic = make_topic();
  const std::string other = make_topic();
  const auto member = must(log().join("group-" + topic, topic, soon()));
  Assignment foreign = own(*member).at(0);
  foreign.partition.topic = other;
  EXPECT_EQ(kind_of(member->commit(foreign, {1, ""}, soon())), ErrorKind::kConflict);
  foreign.partition = {topic, 1};
  EXPECT_EQ(kind_of(member->commit(foreign, {1, ""}, soon())), ErrorKind::kConflict);
}

TEST_P(EventLogContract, LetsDifferentGroupsReadTheSameTopicSideBySide) {
  const std::string topic = make_topic();
  const auto one = must(log().join("one-" + topic, topic, soon()));
  const auto two = must(log().join("two-" + topic, topic, soon()));
  const auto of_one = own(*one);
  const auto of_two = own(*two);
  must(one->commit(of_one.at(0), {1, "one"}, soon()));
  must(two->commit(of_two.at(0), {2, "two"}, soon()));
  EXPECT_EQ(must(log().committed("one-" + topic, {topic, 0}, soon()))->offset, 1);
  EXPECT_EQ(must(log().committed("two-" + topic, {topic, 0}, soon()))->offset, 2);
}

TEST_P(EventLogContract, ListsWhatAllGroupsCommitted) {
  const std::string topic = make_topic(2);
  for (const std::string group : {"b-", "a-"}) {
    const auto member = must(log().join(group + topic, topic, soon()));
    const auto mine = own(*member);
    must(member->commit(mine.at(1), {11, group + "1"}, soon()));
    must(member->commit(mine.at(0), {10, group + "0"}, soon()));
  }
  std::vector<std::string> found;
  for (const ports::GroupOffset& entry : must(log().list_group_offsets(soon()))) {
    if (entry.partition.topic != topic) continue;
    EXPECT_EQ(entry.committed.offset, entry.partition.partition == 0 ? 10 : 11);
    found.push_back(entry.group.substr(0, 2) + std::to_string(entry.partition.partition) +
                    entry.committed.metadata);
  }
  EXPECT_EQ(found, (std::vector<std::string>{"a-0a-0", "a-1a-1", "b-0b-0", "b-1b-1"}));
}

}  // namespace millrace::contract
