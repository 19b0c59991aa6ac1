// Dead letters over the in-memory log and a real order store, with commits and answers that get lost.
#include "dead_letters/dead_letters.h"

#include <future>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/memory/memory_event_log.h"
#include "adapters/mysql/mysql_dead_letter_store.h"
#include "adapters/system/system_clock.h"
#include "support/commit_gate.h"
#include "support/mariadb_fixture.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;
using dead_letters::DeadLetterId;
using support::CommitFault;

base::Deadline soon() {
  return base::Deadline::in(10s);
}

std::string event_of(const std::string& order) {
  return fmt::format(
      R"({{"eventType":"OrderCreated","version":5,"occurredAt":"2026-01-01T00:00:00.000Z","after":{{)"
      R"("orderId":"{}","userId":"u","userEmail":"u@x","totalAmount":10.00,"status":"PENDING",)"
      R"("paymentMethod":"CASH","paymentStatus":"PENDING","createdAt":"2026-01-01T00:00:00.000Z",)"
      R"("items":[]}}}})",
      order);
}

/// Counts the records that are read, and forwards everything to a log in memory.
class CountingLog final : public adapters::memory::MemoryEventLog {
 public:
  base::Result<std::vector<ports::Record>> read(const ports::TopicPartition& partition, std::int64_t offset,
                                                ports::ReadLimit limit, base::Deadline deadline) override {
    auto records = MemoryEventLog::read(partition, offset, limit, deadline);
    if (records) records_read += records->size();
    return records;
  }
  std::size_t records_read = 0;
};

class LettersTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* topic : {"order.events", "orders_analytics", "order.events-dlq", "orders_analytics-dlq"})
      ASSERT_TRUE(log_.ensure_topic(topic, 2, soon()));
  }
  adapters::mysql::ServerAddress through_the_gate() {
    adapters::mysql::ServerAddress address = database_.address();
    address.port = gate_.port();
    return address;
  }
  /// Writes the letter of a record that was read at `offset` of partition 1.
  void send_to_dlq(const std::string& topic, std::int64_t offset, const std::string& key,
                   const std::string& value, std::vector<ports::Header> headers = {},
                   const std::string& topic_id = "i-1") {
    const ports::Record record{offset, key, value, std::move(headers), base::utc_from_ms(1)};
    const ports::NewRecord letter =
        ports::dead_letter_of(record, {topic, 1}, topic_id, "a test", base::utc_from_ms(2), bytes_max_);
    ASSERT_TRUE(log_.append({topic + "-dlq", 1}, {&letter, 1}, soon()));
  }
  std::string value(const std::string& select) { return database_.value(select); }
  static dead_letters::ListQuery query(std::string_view topic, std::size_t most, bool all = false) {
    dead_letters::ListQuery asked;
    asked.topic = topic;
    asked.count_max = most;
    asked.handled_too = all;
    return asked;
  }
  std::vector<std::string> listed(std::string_view topic = "", bool all = false, std::size_t most = 100) {
    const auto list = letters_.list(query(topic, most, all), soon());
    EXPECT_TRUE(list) << list.error().message;
    std::vector<std::string> ids;
    if (list)
      for (const auto& letter : list->letters)
        ids.push_back(dead_letters::to_string(dead_letters::id_of(letter.place)));
    return ids;
  }

  std::size_t bytes_max_ = 1u << 20u;
  support::TestDatabase database_;
  support::CommitGate gate_{database_.address().port};
  adapters::mysql::MysqlDeadLetterStore book_{through_the_gate()};
  CountingLog log_;
  adapters::system::SystemClock clock_;
  std::vector<std::string> loaded_;
  bool warehouse_away_ = false;
  int woken_ = 0;
  dead_letters::DeadLetters letters_{
      log_, book_, clock_,
      [this](const domain::AnalyticsRow& row, base::Deadline) -> base::Result<void> {
        if (warehouse_away_) return base::unavailable("away");
        loaded_.push_back(row.order_id.value());
        return {};
      },
      [this] { ++woken_; }};
};

TEST_F(LettersTest, AreListedOnceHoweverOftenTheyWereWritten) {
  send_to_dlq("order.events", 3, "a", "{}");
  send_to_dlq("order.events", 4, "b", "{}");
  send_to_dlq("order.events", 3, "a", "{}");
  send_to_dlq("orders_analytics", 3, "c", "{}");

  EXPECT_EQ(listed(),
            (std::vector<std::string>{"order.events/1/3", "order.events/1/4", "orders_analytics/1/3"}));
  EXPECT_EQ(listed("orders_analytics"), (std::vector<std::string>{"orders_analytics/1/3"}));
  EXPECT_EQ(listed("", false, 2).size(), 2u);
  EXPECT_FALSE(letters_.list(query("", 2), soon())->next.empty());
  EXPECT_TRUE(letters_.list(query("", 3), soon())->next.empty());
  EXPECT_EQ(letters_.list(query("nothing", 2), soon()).error().kind, ErrorKind::kNotFound);
}

TEST_F(LettersTest, AreEachReadOnceForTheListAndOnceForTheirReplay) {
  constexpr std::size_t kCount = 2'000;
  constexpr std::size_t kReplayed = 50;
  for (std::size_t i = 0; i < kCount; ++i)
    send_to_dlq("order.events", static_cast<std::int64_t>(i), "a", event_of("a"));
  log_.records_read = 0;

  ASSERT_EQ(listed("", false, kCount).size(), kCount);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(letters_.open_counts(soon()));
  for (std::size_t i = 0; i < kReplayed; ++i)
    ASSERT_TRUE(letters_.replay({"order.events", 1, static_cast<std::int64_t>(i)}, {}, "admin", soon()));
  ASSERT_EQ(listed("", false, kCount).size(), kCount - kReplayed);

  // To learn of them; for either list; for each replay.
  EXPECT_LE(log_.records_read, 3 * kCount + kReplayed);
}

TEST_F(LettersTest, AreListedPartByPartWhileSomeAreHandled) {
  for (std::int64_t i = 0; i < 10; ++i) send_to_dlq("order.events", i, "a", event_of("a"));
  send_to_dlq("order.events", 0, "a", event_of("a"), {}, "i-2");  // the topic was recreated
  send_to_dlq("orders_analytics", 3, "c", "{}");
  std::vector<std::string> ids;
  auto asked = query("", 4);
  std::vector<std::uint64_t> open;
  do {
    const auto part = letters_.list(asked, soon());
    ASSERT_TRUE(part) << part.error().message;
    for (const auto& letter : part->letters)
      ids.push_back(dead_letters::to_string(dead_letters::id_of(letter.place)));
    open.push_back(part->open);
    asked.after = part->next;
    // One that was listed, and one that was not.
    if (open.size() == 1) {
      ASSERT_TRUE(letters_.drop({"order.events", 1, 3}, "no use", "admin", soon()));
      ASSERT_TRUE(letters_.drop({"order.events", 1, 5}, "no use", "admin", soon()));
    }
  } while (!asked.after.empty());
  EXPECT_EQ(open, (std::vector<std::uint64_t>{12, 10, 10}));
  EXPECT_EQ(ids, (std::vector<std::string>{"order.events/1/0", "order.events/1/1", "order.events/1/2",
                                           "order.events/1/3", "order.events/1/4", "order.events/1/6",
                                           "order.events/1/7", "order.events/1/8", "order.events/1/9",
                                           "order.events/1/0", "orders_analytics/1/3"}));
  asked.after = "nonsense";
  EXPECT_EQ(letters_.list(asked, soon()).error().kind, ErrorKind::kInvalid);
}

TEST_F(LettersTest, HandledByAnotherProcessAreFoundHandled) {
  for (std::int64_t i = 0; i < 3; ++i) send_to_dlq("order.events", i, "a", event_of("a"));
  ASSERT_EQ(listed().size(), 3u);
  dead_letters::DeadLetters other{log_, book_, clock_, {}, [] {}};
  ASSERT_TRUE(other.drop({"order.events", 1, 1}, "no use", "admin", soon()));

  EXPECT_EQ(listed(), (std::vector<std::string>{"order.events/1/0", "order.events/1/2"}));
  EXPECT_EQ(letters_.open_counts(soon())->at("order.events"), 2u);
  EXPECT_EQ(listed("", true).size(), 3u);
}

TEST_F(LettersTest, ThatTheLogHasRemovedAreGoneFromTheList) {
  for (std::int64_t i = 0; i < 3; ++i) send_to_dlq("order.events", i, "a", event_of("a"));
  ASSERT_EQ(listed().size(), 3u);
  ASSERT_TRUE(letters_.drop({"order.events", 1, 1}, "no use", "admin", soon()));
  ASSERT_TRUE(log_.delete_records({"order.events-dlq", 1}, 2, soon()));

  EXPECT_EQ(listed("", true), (std::vector<std::string>{"order.events/1/2"}));
  EXPECT_EQ(letters_.open_counts(soon())->at("order.events"), 1u);
}

TEST_F(LettersTest, AreKeptUpToABoundAndTheRestIsCounted) {
  for (std::int64_t i = 0; i < 6; ++i) send_to_dlq("order.events", i, "a", event_of("a"));
  dead_letters::DeadLetterIndex index(log_, book_, {}, 4);
  const auto offsets = [&] {
    std::vector<std::int64_t> found;
    const auto part = index.list({"order.events"}, {}, 100, false, soon());
    EXPECT_TRUE(part);
    if (part)
      for (const auto& letter : part->letters) found.push_back(letter.place.offset);
    return found;
  };
  EXPECT_EQ(offsets(), (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(index.open_counts(soon())->at("order.events"), 6u);
  // What is handled makes room for the others.
  ASSERT_TRUE(letters_.drop({"order.events", 1, 0}, "no use", "admin", soon()));
  ASSERT_TRUE(letters_.drop({"order.events", 1, 2}, "no use", "admin", soon()));
  offsets();
  EXPECT_EQ(offsets(), (std::vector<std::int64_t>{1, 3, 4, 5}));
  EXPECT_EQ(index.open_counts(soon())->at("order.events"), 4u);
}

TEST_F(LettersTest, LeaveTheListWhenTheyAreHandled) {
  send_to_dlq("order.events", 3, "a", event_of("a"));
  send_to_dlq("order.events", 4, "b", "{}");
  ASSERT_TRUE(letters_.replay({"order.events", 1, 3}, {}, "admin", soon()));
  ASSERT_TRUE(letters_.drop({"order.events", 1, 4}, "no use", "admin", soon()));

  EXPECT_TRUE(listed().empty());
  EXPECT_EQ(listed("", true).size(), 2u);
  EXPECT_EQ(letters_.find({"order.events", 1, 4}, soon())->handled->note, "no use");
}

TEST_F(LettersTest, AreReplayedAsANewEventOfTheOutboxWithItsNoteInOneTransaction) {
  send_to_dlq("order.events", 3, "a", "{}");

  const auto done = letters_.replay({"order.events", 1, 3}, event_of("a"), "admin-1", soon());

  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(
      value("SELECT CONCAT(id, ' ', aggregate_id, ' ', aggregate_type, ' ', event_type, ' ', processed) "
            "FROM outbox"),
      fmt::format("{} a Order OrderCreated 0", *done->event_id));
  EXPECT_EQ(value("SELECT CONCAT_WS(' ', source_topic, source_incarnation, source_partition, source_offset, "
                  "action, handled_by, event_id) FROM dead_letters"),
            fmt::format("order.events i-1 1 3 REPLAYED admin-1 {}", *done->event_id));
  EXPECT_EQ(woken_, 1);
}

TEST_F(LettersTest, AreReplayedOnceByAnyNumberOfCallersAtOnce) {
  send_to_dlq("order.events", 3, "a", event_of("a"));
  std::vector<std::future<bool>> callers;
  for (int i = 0; i < 4; ++i)
    callers.push_back(std::async(std::launch::async, [&] {
      return letters_.replay({"order.events", 1, 3}, {}, "admin", soon()).has_value();
    }));
  int done = 0;
  for (auto& caller : callers) done += caller.get() ? 1 : 0;

  EXPECT_EQ(done, 1);
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "1");
}

TEST_F(LettersTest, SayWhoReplayedThemBefore) {
  send_to_dlq("order.events", 3, "a", event_of("a"));
  ASSERT_TRUE(letters_.replay({"order.events", 1, 3}, {}, "admin-1", soon()));

  const auto again = letters_.replay({"order.events", 1, 3}, {}, "admin-2", soon());

  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kConflict);
  EXPECT_NE(again.error().message.find("order.events/1/3 was already replayed by admin-1 at "),
            std::string::npos)
      << again.error().message;
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "1");
}

TEST_F(LettersTest, OfATopicThatWasMadeAnewAreOtherLetters) {
  send_to_dlq("order.events", 3, "a", event_of("a"), {}, "i-1");
  ASSERT_TRUE(letters_.replay({"order.events", 1, 3}, {}, "admin", soon()));
  send_to_dlq("order.events", 3, "b", event_of("b"), {}, "i-2");

  EXPECT_EQ(listed().size(), 1u);
  ASSERT_TRUE(letters_.replay({"order.events", 1, 3}, {}, "admin", soon()));
  EXPECT_EQ(value("SELECT GROUP_CONCAT(aggregate_id ORDER BY id) FROM outbox"), "a,b");
}

TEST_F(LettersTest, OfRowsAreReplayedAsTheEventThatTheRowWasMadeFrom) {
  const std::vector<ports::NewRecord> events{{"x", "other", {}, base::utc_from_ms(1)},
                                             {"a", event_of("a"), {}, base::utc_from_ms(1)}};
  ASSERT_TRUE(log_.append({"order.events", 1}, events, soon()));
  send_to_dlq("orders_analytics", 9, "a", "?", {{"input-offset", "1"}});

  ASSERT_TRUE(letters_.replay({"orders_analytics", 1, 9}, {}, "admin", soon()));
  EXPECT_EQ(value("SELECT aggregate_id FROM outbox"), "a");
}

TEST_F(LettersTest, ThatWereCutAreReplayedFromTheRecordThatTheyWereMadeOf) {
  const ports::NewRecord event{"a", event_of("a"), {}, base::utc_from_ms(1)};
  ASSERT_TRUE(log_.append({"order.events", 1}, {&event, 1}, soon()));
  bytes_max_ = 200;
  send_to_dlq("order.events", 0, "a", event_of("a"), {},
              log_.describe_topic("order.events", soon())->topic_id);
  send_to_dlq("order.events", 7, "b", event_of("b"), {},
              log_.describe_topic("order.events", soon())->topic_id);
  EXPECT_LT(letters_.find({"order.events", 1, 0}, soon())->record.value.size(), 100u);

  const auto replayed = letters_.replay({"order.events", 1, 0}, {}, "admin", soon());
  ASSERT_TRUE(replayed) << replayed.error().message;
  EXPECT_EQ(value("SELECT aggregate_id FROM outbox"), "a");
  // The other one's record is no longer there.
  const auto refused = letters_.replay({"order.events", 1, 7}, {}, "admin", soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
  EXPECT_TRUE(letters_.replay({"order.events", 1, 7}, event_of("b"), "admin", soon()));
}

TEST_F(LettersTest, OfRowsWhoseEventIsGoneNameTheWayOut) {
  send_to_dlq("orders_analytics", 9, "a", "?", {{"input-offset", "1"}});

  const auto refused = letters_.replay({"orders_analytics", 1, 9}, {}, "admin", soon());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
  EXPECT_NE(refused.error().message.find("millrace rebuild"), std::string::npos) << refused.error().message;
  EXPECT_EQ(value("SELECT COUNT(*) FROM dead_letters"), "0");
}

TEST_F(LettersTest, AreCountedOnceAndUntilTheyAreHandled) {
  const auto count = [&] { return letters_.open_counts(soon()).value(); };
  using Counts = std::map<std::string, std::uint64_t>;
  EXPECT_EQ(count(), (Counts{{"order.events", 0}, {"orders_analytics", 0}}));
  send_to_dlq("order.events", 3, "a", event_of("a"));
  send_to_dlq("order.events", 3, "a", event_of("a"));
  send_to_dlq("orders_analytics", 3, "a", "?");
  EXPECT_EQ(count(), (Counts{{"order.events", 1}, {"orders_analytics", 1}}));
  send_to_dlq("order.events", 3, "a", event_of("a"));
  send_to_dlq("order.events", 4, "b", "?");
  EXPECT_EQ(count(), (Counts{{"order.events", 2}, {"orders_analytics", 1}}));
  ASSERT_TRUE(letters_.replay({"order.events", 1, 3}, {}, "admin", soon()));
  ASSERT_TRUE(letters_.drop({"orders_analytics", 1, 3}, "no use", "admin", soon()));
  EXPECT_EQ(count(), (Counts{{"order.events", 1}, {"orders_analytics", 0}}));
}

class LostReplay : public LettersTest, public testing::WithParamInterface<CommitFault> {};

TEST_P(LostReplay, NeverSendsAnEventTwiceOrNotAtAll) {
  send_to_dlq("order.events", 3, "a", event_of("a"));
  gate_.arm(GetParam());

  const auto lost = letters_.replay({"order.events", 1, 3}, {}, "admin", soon());

  EXPECT_TRUE(gate_.sprung());
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::kUnavailable);
  // As a person does it: again, until it is done or was done before.
  const auto again = letters_.replay({"order.events", 1, 3}, {}, "admin", soon());
  EXPECT_TRUE(again || again.error().kind == ErrorKind::kConflict) << again.error().message;
  const auto third = letters_.replay({"order.events", 1, 3}, {}, "admin", soon());
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM dead_letters d JOIN outbox o ON o.id = d.event_id"), "1");
}

INSTANTIATE_TEST_SUITE_P(OfEveryKind, LostReplay,
                         testing::Values(CommitFault::kLost, CommitFault::kAnswerLost, CommitFault::kLate),
                         [](const testing::TestParamInfo<CommitFault>& fault) {
                           switch (fault.param) {
                             case CommitFault::kLost:
                               return "CommitLost";
                             case CommitFault::kAnswerLost:
                               return "AnswerLost";
                             default:
                               return "CommitLate";
                           }
                         });

}  // namespace
}  // namespace millrace
