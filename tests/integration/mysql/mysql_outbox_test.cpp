#include "adapters/mysql/mysql_outbox.h"

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/connection.h"
#include "support/mariadb_fixture.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;

base::Deadline soon() {
  return base::Deadline::in(10s);
}

class MysqlOutboxTest : public testing::Test {
 protected:
  void append(const std::string& aggregate, int rows) {
    for (int i = 0; i < rows; ++i)
      database_.run(
          fmt::format("INSERT INTO outbox (aggregate_id, aggregate_type, event_type, payload) VALUES "
                      "('{}', 'Order', 'OrderCreated', '{{\"n\": {}}}')",
                      aggregate, i));
  }
  static std::vector<std::uint64_t> ids(const std::vector<ports::OutboxRow>& rows) {
    std::vector<std::uint64_t> found;
    for (const ports::OutboxRow& row : rows) found.push_back(row.id);
    return found;
  }

  /// The server frees the locks of a connection a moment after its end.
  static base::Result<std::unique_ptr<ports::OutboxLease>> acquire(ports::Outbox& outbox,
                                                                   std::int32_t shard) {
    const base::Deadline deadline = soon();
    auto lease = outbox.acquire(shard, soon());
    while (!lease && !deadline.passed()) {
      std::this_thread::sleep_for(20ms);
      lease = outbox.acquire(shard, soon());
    }
    return lease;
  }

  support::TestDatabase database_;
  adapters::mysql::MysqlOutbox outbox_{database_.address()};
};

TEST_F(MysqlOutboxTest, HandsOutUnprocessedRowsByIdAndNotThoseThatAreMarked) {
  append("a", 3);
  const auto lease = outbox_.acquire(0, soon());
  ASSERT_TRUE(lease) << lease.error().message;

  const auto first = (*lease)->fetch(0, 2, soon());
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(ids(*first), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ((*first)[0].aggregate_id, "a");
  EXPECT_EQ((*first)[0].aggregate_type, "Order");
  EXPECT_EQ((*first)[0].event_type, "OrderCreated");
  EXPECT_EQ((*first)[0].payload, "{\"n\": 0}");
  EXPECT_GT(base::to_ms((*first)[0].created_at), 0);
  ASSERT_TRUE((*lease)->mark_processed(ids(*first), soon()));

  EXPECT_EQ(ids((*lease)->fetch(0, 10, soon()).value()), (std::vector<std::uint64_t>{3}));
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM outbox WHERE processed = 1 AND processed_at IS NOT NULL"),
            "2");
  const auto depth = outbox_.depth(soon());
  ASSERT_TRUE(depth);
  EXPECT_EQ(depth->waiting, 1u);
  EXPECT_EQ(depth->parked, 0u);
}

TEST_F(MysqlOutboxTest, GivesAShardToOneRelayAtATimeAndRaisesTheEpochOnEachTakeOver) {
  auto first = outbox_.acquire(0, soon());
  ASSERT_TRUE(first);
  const std::uint64_t epoch = (*first)->epoch();
  const auto second = outbox_.acquire(0, soon());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);

  first->reset();
  const base::Deadline deadline = soon();
  auto third = outbox_.acquire(0, soon());
  while (!third && !deadline.passed()) third = outbox_.acquire(0, soon());
  ASSERT_TRUE(third);
  EXPECT_GT((*third)->epoch(), epoch);
}

TEST_F(MysqlOutboxTest, KeepsTwoDatabasesOnOneServerApart) {
  const support::TestDatabase other;
  adapters::mysql::MysqlOutbox other_outbox(other.address());
  const auto here = outbox_.acquire(0, soon());
  const auto there = other_outbox.acquire(0, soon());
  EXPECT_TRUE(here);
  EXPECT_TRUE(there);
}

TEST_F(MysqlOutboxTest, RefusesMarksOfARelayThatHasBeenOvertaken) {
  append("a", 2);
  const auto old = outbox_.acquire(0, soon());
  ASSERT_TRUE(old);
  const auto rows = (*old)->fetch(0, 10, soon());
  ASSERT_TRUE(rows);
  // Another one has taken over, and the old one's connection has not noticed that its lock is gone.
  database_.run("UPDATE relay_shards SET epoch = epoch + 1");

  const auto marked = (*old)->mark_processed(ids(*rows), soon());
  ASSERT_FALSE(marked);
  EXPECT_EQ(marked.error().kind, ErrorKind::kConflict);
  EXPECT_EQ((*old)->park(1, "a", soon()).error().kind, ErrorKind::kConflict);
  EXPECT_EQ((*old)->record_topic("order.events", {3, "x"}, soon()).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM outbox WHERE processed = 1 OR parked = 1"), "0");
}

TEST_F(MysqlOutboxTest, CommitsAfterItHasReadSoThatWhatItHandsOutIsOnTheDisk) {
  const auto log_position = [&] {
    return database_.value(
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = "
        "'INNODB_OS_LOG_WRITTEN'");
  };
  const auto updated_at = [&] { return database_.value("SELECT updated_at FROM relay_shards"); };
  append("a", 1);
  const auto lease = outbox_.acquire(0, soon());
  ASSERT_TRUE(lease);
  for (int round = 0; round < 20; ++round) {
    const std::string before = updated_at();
    const std::string written = log_position();
    ASSERT_EQ((*lease)->fetch(0, 10, soon()).value().size(), 1u);
    EXPECT_NE(updated_at(), before);
    EXPECT_NE(log_position(), written);
  }
  database_.run("UPDATE relay_shards SET epoch = epoch + 1");
  EXPECT_EQ((*lease)->fetch(0, 10, soon()).error().kind, ErrorKind::kConflict);
}

TEST_F(MysqlOutboxTest, NoticesThatItsConnectionAndSoItsLockIsGone) {
  append("a", 2);
  const auto old = outbox_.acquire(0, soon());
  ASSERT_TRUE(old);
  database_.run(
      fmt::format("KILL {}", database_.value(fmt::format("SELECT IS_USED_LOCK('millrace-relay {} 0')",
                                                         database_.address().database))));
  const auto fresh = acquire(outbox_, 0);
  ASSERT_TRUE(fresh);
  EXPECT_EQ((*old)->fetch(0, 10, soon()).error().kind, ErrorKind::kConflict);
  EXPECT_EQ((*old)->mark_processed(std::vector<std::uint64_t>{1}, soon()).error().kind, ErrorKind::kConflict);
  EXPECT_EQ((*old)->heartbeat(soon()).error().kind, ErrorKind::kConflict);
  EXPECT_TRUE((*fresh)->mark_processed(std::vector<std::uint64_t>{1, 2}, soon()));
}

TEST_F(MysqlOutboxTest, TakesTheShardFromAnOwnerThatIsSilent) {
  using adapters::mysql::MysqlOutbox;
  MysqlOutbox brief(database_.address(), {.silence_max = 1s});
  const auto old = brief.acquire(0, soon());
  ASSERT_TRUE(old);
  EXPECT_FALSE(outbox_.acquire(0, soon()));
  const auto fresh = acquire(outbox_, 0);
  ASSERT_TRUE(fresh);
  EXPECT_GT((*fresh)->epoch(), (*old)->epoch());
  EXPECT_EQ((*old)->heartbeat(soon()).error().kind, ErrorKind::kConflict);
}

TEST_F(MysqlOutboxTest, DividesTheOutboxAnewOnlyWhenNoFormerShardHasAnOwner) {
  using adapters::mysql::MysqlOutbox;
  append("a", 3);
  MysqlOutbox two(database_.address(), {.shards = 2});
  MysqlOutbox three(database_.address(), {.shards = 3});
  auto whole = outbox_.acquire(0, soon());
  ASSERT_TRUE(whole);
  ASSERT_TRUE((*whole)->record_topic("order.events", {6, "x"}, soon()));
  for (std::int32_t shard = 0; shard < 2; ++shard) {
    const auto refused = two.acquire(shard, soon());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
  }
  const std::uint64_t first_epoch = (*whole)->epoch();
  whole->reset();

  auto one_of_two = acquire(two, 1);
  ASSERT_TRUE(one_of_two) << one_of_two.error().message;
  EXPECT_GT((*one_of_two)->epoch(), first_epoch);
  auto other_of_two = acquire(two, 0);
  ASSERT_TRUE(other_of_two) << other_of_two.error().message;
  EXPECT_GT((*other_of_two)->epoch(), (*one_of_two)->epoch());
  for (const auto* lease : {&*one_of_two, &*other_of_two})
    EXPECT_EQ((*lease)->topic("order.events", soon()).value(), (ports::RelayedTopic{6, "x"}));
  EXPECT_EQ(outbox_.acquire(0, soon()).error().kind, ErrorKind::kConflict);

  // One shard moves on alone: until the other follows, its partitions cannot pass to others.
  ASSERT_TRUE((*one_of_two)->record_topic("order.events", {12, "x"}, soon()));
  const std::uint64_t last_epoch = (*other_of_two)->epoch();
  one_of_two->reset();
  EXPECT_FALSE(three.acquire(2, soon()));
  ASSERT_TRUE((*other_of_two)->record_topic("order.events", {12, "x"}, soon()));
  other_of_two->reset();
  const auto last = acquire(three, 2);
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_GT((*last)->epoch(), last_epoch);
  EXPECT_EQ((*last)->topic("order.events", soon()).value()->partitions, 12);
}

TEST_F(MysqlOutboxTest, MarksWhatItIsToldToAndNotWhatWasCommittedBetween) {
  append("a", 20);
  database_.run("DELETE FROM outbox WHERE id = 15");
  const auto lease = outbox_.acquire(0, soon());
  ASSERT_TRUE(lease);
  const auto rows = (*lease)->fetch(0, 18, soon()).value();
  ASSERT_EQ(rows.size(), 18u);
  // Of a transaction that began earlier and was slower.
  database_.run(
      "INSERT INTO outbox (id, aggregate_id, aggregate_type, event_type, payload) VALUES (15, 'b', 'Order', "
      "'OrderCreated', '{}')");
  ASSERT_TRUE((*lease)->mark_processed(ids(rows), soon()));
  EXPECT_EQ(ids((*lease)->fetch(0, 10, soon()).value()), (std::vector<std::uint64_t>{15, 20}));
}

TEST_F(MysqlOutboxTest, ParksARowWithAllLaterOnesOfItsOrderAlsoThoseThatComeAfter) {
  append("a", 2);
  append("b", 1);
  append("a", 1);
  auto lease = outbox_.acquire(0, soon());
  ASSERT_TRUE(lease);

  ASSERT_TRUE((*lease)->park(2, "a", soon()));
  EXPECT_EQ(ids((*lease)->fetch(0, 10, soon()).value()), (std::vector<std::uint64_t>{1, 3}));
  append("a", 1);
  append("b", 1);
  EXPECT_EQ(ids((*lease)->fetch(0, 10, soon()).value()), (std::vector<std::uint64_t>{1, 3, 6}));

  // The next relay knows it as well.
  lease->reset();
  append("a", 1);
  const base::Deadline deadline = soon();
  auto next = outbox_.acquire(0, soon());
  while (!next && !deadline.passed()) next = outbox_.acquire(0, soon());
  ASSERT_TRUE(next);
  EXPECT_EQ(ids((*next)->fetch(0, 10, soon()).value()), (std::vector<std::uint64_t>{1, 3, 6}));
  const auto depth = outbox_.depth(soon());
  ASSERT_TRUE(depth);
  EXPECT_EQ(depth->parked, 4u);
}

TEST_F(MysqlOutboxTest, RemovesOldProcessedRowsInPortionsAndNothingElse) {
  append("a", 6);
  const auto lease = outbox_.acquire(0, soon());
  ASSERT_TRUE(lease);
  ASSERT_TRUE((*lease)->mark_processed(std::vector<std::uint64_t>{1, 2, 3, 4}, soon()));
  database_.run("UPDATE outbox SET processed_at = '2020-01-01 00:00:00' WHERE id <= 3");
  const base::UtcTime limit = *base::parse_utc("2020-01-02T00:00:00Z");

  EXPECT_EQ(outbox_.remove_processed(limit, 2, soon()).value(), 2u);
  EXPECT_EQ(outbox_.remove_processed(limit, 100, soon()).value(), 1u);
  EXPECT_EQ(outbox_.remove_processed(limit, 100, soon()).value(), 0u);
  EXPECT_EQ(database_.value("SELECT GROUP_CONCAT(id ORDER BY id) FROM outbox"), "4,5,6");
}

class MysqlOutboxRemovalTest : public MysqlOutboxTest, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(, MysqlOutboxRemovalTest, testing::Values(4, 200));

TEST_P(MysqlOutboxRemovalTest, RemovesWhatNobodyHasLocked) {
  const auto rows = static_cast<std::size_t>(GetParam());
  append("a", GetParam());
  database_.run("UPDATE outbox SET processed = 1, processed_at = '2020-01-01 00:00:00'");
  const base::UtcTime limit = *base::parse_utc("2020-01-02T00:00:00Z");
  {
    const auto other = adapters::mysql::Connection::open(database_.address(), database_.address().database,
                                                         adapters::mysql::Isolation::kReadCommitted, soon());
    ASSERT_TRUE(other);
    ASSERT_TRUE((*other)->command("START TRANSACTION", soon()));
    ASSERT_TRUE((*other)->query(
        "SELECT id FROM outbox WHERE id = 2 FOR UPDATE", {},
        [](adapters::mysql::Row) { return base::Result<void>(); }, soon()));
    const auto removed = outbox_.remove_processed(limit, 1000, soon());
    ASSERT_TRUE(removed) << removed.error().message;
    EXPECT_EQ(*removed, rows - 1);
    EXPECT_EQ(database_.value("SELECT GROUP_CONCAT(id) FROM outbox"), "2");
    EXPECT_EQ(outbox_.remove_processed(limit, 1000, soon()).value(), 0u);
    // A connection that is closed gives its locks back some time later.
    ASSERT_TRUE((*other)->command("ROLLBACK", soon()));
  }
  EXPECT_EQ(outbox_.remove_processed(limit, 1000, soon()).value(), 1u);
}

TEST_F(MysqlOutboxTest, SaysWhyItCannotRemoveAndGoesOnDelivering) {
  append("a", 3);
  const auto lease = outbox_.acquire(0, soon());
  ASSERT_TRUE(lease);
  ASSERT_TRUE((*lease)->mark_processed(std::vector<std::uint64_t>{1, 2}, soon()));
  database_.run("UPDATE outbox SET processed_at = '2020-01-01 00:00:00' WHERE id <= 2");
  database_.run("CREATE TABLE audit (event BIGINT UNSIGNED, FOREIGN KEY (event) REFERENCES outbox (id))");
  database_.run("INSERT INTO audit VALUES (2)");
  const base::UtcTime limit = *base::parse_utc("2020-01-02T00:00:00Z");
  const auto removed = outbox_.remove_processed(limit, 100, soon());
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, base::ErrorKind::kConflict);
  EXPECT_EQ(removed.error().vendor_code, 1451);
  // Nothing half done, no lock left behind, and the lease is as it was.
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM outbox"), "3");
  EXPECT_TRUE((*lease)->mark_processed(std::vector<std::uint64_t>{3}, soon()));
  database_.run("DROP TABLE audit");
  EXPECT_EQ(outbox_.remove_processed(limit, 100, soon()).value(), 2u);
}

TEST_F(MysqlOutboxTest, ReadsTheWaitingRowsByTheirIndexWithoutSorting) {
  append("a", 3);
  EXPECT_EQ(database_.value(
                "SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE() AND "
                "table_name = 'outbox' AND index_name = 'outbox_waiting'"),
            "3");
}

TEST_F(MysqlOutboxTest, BoundsTheBytesOfOneFetch) {
  append("a", 3);
  adapters::mysql::MysqlOutbox small(database_.address(), {.fetch_bytes_max = 4});
  const auto lease = small.acquire(0, soon());
  ASSERT_TRUE(lease);
  EXPECT_EQ((*lease)->fetch(0, 10, soon()).value().size(), 1u);
}

TEST_F(MysqlOutboxTest, SharesRowsBetweenShardsByPartition) {
  for (const char* aggregate : {"a", "b", "c", "d", "e", "f", "g", "h"}) append(aggregate, 1);
  adapters::mysql::MysqlOutbox sharded(database_.address(), {.shards = 2});
  const auto even = sharded.acquire(0, soon());
  const auto odd = sharded.acquire(1, soon());
  ASSERT_TRUE(even && odd);
  const std::size_t in_even = (*even)->fetch(0, 10, soon()).value().size();
  const std::size_t in_odd = (*odd)->fetch(0, 10, soon()).value().size();
  EXPECT_EQ(in_even + in_odd, 8u);
  EXPECT_GT(in_even, 0u);
  EXPECT_GT(in_odd, 0u);
}

// Relays of three shards, writers of orders and the removal of what is processed, on the same rows of the
// same index.
TEST_F(MysqlOutboxTest, LetsShardsWritersAndTheRemovalMeetWithoutADeadlock) {
  constexpr std::int32_t kShards = 3;
  constexpr int kWriters = 3;
  constexpr int kTransactions = 150;
  constexpr int kRowsOfOne = 4;
  constexpr std::size_t kAll = std::size_t{kWriters} * kTransactions * kRowsOfOne;
  adapters::mysql::MysqlOutbox sharded(database_.address(), {.shards = kShards});
  const auto deadlocks = [&] {
    return database_.value(
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = "
        "'INNODB_DEADLOCKS'");
  };
  const std::string before = deadlocks();
  ASSERT_NE(before, "");

  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer)
    threads.emplace_back([&, writer] {
      const auto connection =
          adapters::mysql::Connection::open(database_.address(), database_.address().database,
                                            adapters::mysql::Isolation::kReadCommitted, soon());
      ASSERT_TRUE(connection);
      for (int number = 0; number < kTransactions; ++number) {
        ASSERT_TRUE((*connection)->command("START TRANSACTION", soon()));
        for (int row = 0; row < kRowsOfOne; ++row)
          ASSERT_TRUE(
              (*connection)
                  ->command(fmt::format("INSERT INTO outbox (aggregate_id, aggregate_type, event_type, "
                                        "payload) VALUES ('{}-{}', 'Order', 'OrderCreated', '{{}}')",
                                        writer, (number + row) % 50),
                            soon()));
        ASSERT_TRUE((*connection)->command("COMMIT", soon()));
      }
    });
  std::mutex mutex;
  std::multiset<std::uint64_t> relayed;  // guarded by mutex
  std::atomic<std::size_t> removed = 0;
  const base::Deadline deadline = base::Deadline::in(60s);
  const auto all_relayed = [&] {
    const std::lock_guard lock(mutex);
    return relayed.size() >= kAll || deadline.passed();
  };
  for (std::int32_t shard = 0; shard < kShards; ++shard)
    threads.emplace_back([&, shard] {
      const auto lease = acquire(sharded, shard);
      ASSERT_TRUE(lease) << lease.error().message;
      while (!all_relayed()) {
        const auto rows = (*lease)->fetch(0, 40, soon());
        ASSERT_TRUE(rows) << rows.error().message;
        const auto marked = (*lease)->mark_processed(ids(*rows), soon());
        ASSERT_TRUE(marked) << marked.error().message;
        // All of them remove, though in the relay only shard 0 does.
        const auto some = sharded.remove_processed(*base::parse_utc("2100-01-01T00:00:00Z"), 20, soon());
        ASSERT_TRUE(some) << some.error().message;
        removed += *some;
        const std::lock_guard lock(mutex);
        for (const ports::OutboxRow& row : *rows) relayed.insert(row.id);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(relayed.size(), kAll);
  EXPECT_EQ(std::set(relayed.begin(), relayed.end()).size(), kAll);
  EXPECT_GT(removed.load(), 0u);
  EXPECT_EQ(deadlocks(), before);
}

}  // namespace
}  // namespace millrace
