// The purge on the real engine: what it removes is gone from the disk's parts, and nothing brings it back.
#include "purge/purge.h"

#include <thread>

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "adapters/clickhouse/clickhouse_warehouse.h"
#include "adapters/curl/curl_http_client.h"
#include "adapters/memory/memory_event_log.h"
#include "ports/record_headers.h"
#include "sink/sink.h"
#include "sink/tables.h"
#include "support/warehouse_fixture.h"

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kPatience{20'000};
constexpr std::int64_t kDay = 24 * 3'600'000;
constexpr std::int64_t kNow = 1'800'000'000'000;
constexpr std::string_view kRows =
    "SELECT order_id, version FROM analytics.orders_analytics ORDER BY order_id, version";
constexpr std::string_view kVisible =
    "SELECT order_id FROM analytics.orders_analytics FINAL WHERE is_deleted = 0 ORDER BY order_id";

base::Deadline soon() {
  return base::Deadline::in(kPatience);
}

class FixedClock final : public ports::Clock {
 public:
  [[nodiscard]] base::UtcTime now() const override { return base::utc_from_ms(kNow); }
};

/// As of the standing clock, an order made `days_ago`, and what became of it since.
domain::AnalyticsRow created(std::string order, std::int64_t days_ago) {
  domain::AnalyticsRow row;
  row.version = static_cast<std::uint64_t>(kNow - days_ago * kDay);
  row.event_id = domain::EventId(row.version);
  row.order_id = domain::OrderId(std::move(order));
  row.current = {domain::UserId("user-1"),
                 "a@example.com",
                 base::utc_from_ms(kNow - days_ago * kDay),
                 *domain::Money::parse("10.05"),
                 1,
                 domain::OrderStatus::kPending,
                 domain::PaymentMethod::kCash,
                 domain::PaymentStatus::kPending,
                 {{domain::ProductId("prod-1"), "Lamp", 1, *domain::Money::parse("10.05")}}};
  row.occurred_at = row.relayed_at = row.transformed_at = base::utc_from_ms(kNow - days_ago * kDay);
  return row;
}
domain::AnalyticsRow changed(domain::AnalyticsRow row, std::int64_t days_ago) {
  row.version = static_cast<std::uint64_t>(kNow - days_ago * kDay);
  row.event_id = domain::EventId(row.version);
  row.type = domain::OrderEventType::kStatusChanged;
  row.before = row.current;
  row.current.status = domain::OrderStatus::kShipped;
  return row;
}
domain::AnalyticsRow deleted(domain::AnalyticsRow row, std::int64_t days_ago) {
  row.version = static_cast<std::uint64_t>(kNow - days_ago * kDay);
  row.event_id = domain::EventId(row.version);
  row.type = domain::OrderEventType::kDeleted;
  row.before = row.current;
  row.deleted_at = base::utc_from_ms(kNow - days_ago * kDay);
  return row;
}

/// The first look at the warehouse's clock is an hour old, as when the sink was stopped for an hour after it.
class SleepyTables final : public sink::WarehouseTables {
 public:
  using WarehouseTables::WarehouseTables;
  base::Result<base::UtcTime> now(base::Deadline deadline) override {
    MILLRACE_TRY_ASSIGN(const base::UtcTime now, WarehouseTables::now(deadline));
    return looks_++ == 0 ? now - std::chrono::hours(1) : now;
  }

 private:
  int looks_ = 0;
};

ports::NewRecord record_of(const domain::AnalyticsRow& row, std::size_t input_offset) {
  ports::NewRecord record;
  record.key = row.order_id.value();
  record.value = domain::to_json(row);
  record.headers.push_back({std::string(ports::kHeaderInputOffset), std::to_string(input_offset)});
  return record;
}

struct Fixture {
  support::WarehouseServer server;
  adapters::curl::CurlHttpClient client{{}};
  adapters::clickhouse::ClickhouseWarehouse adapter{
      client, {.url = server.url(), .user = "admin", .password = "test123"}};
};

class PurgeTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fixture_ = new Fixture;
    support::WarehouseServer::create_schema(warehouse());
  }
  static void TearDownTestSuite() {
    delete fixture_;
    fixture_ = nullptr;
  }
  void SetUp() override {
    for (const char* table : {"orders_analytics", "rollups", "sink_position", "purged_orders"})
      run(std::string("TRUNCATE TABLE analytics.") + table);
    options_.insert_life = std::chrono::milliseconds(0);
  }

  static ports::Warehouse& warehouse() { return fixture_->adapter; }
  static void run(std::string_view statement) {
    const auto done = warehouse().execute(statement, {}, soon());
    ASSERT_TRUE(done) << done.error().message;
  }
  static std::string select(std::string_view query) {
    const std::array parameters = {ports::QueryParameter{"now", std::to_string(kNow)}};
    const auto answer = warehouse().query(query, "TabSeparated", parameters, soon());
    EXPECT_TRUE(answer) << answer.error().message;
    return answer.value_or("");
  }
  static std::string rows_in_active_parts() {
    return select(
        "SELECT sum(rows) FROM system.parts WHERE database = 'analytics' AND table = 'orders_analytics' AND "
        "active");
  }
  static std::string views() {
    std::string all;
    for (const char* view : {"daily_sales_mv", "hourly_sales_mv", "order_status_mv", "user_analytics_mv",
                             "product_ranking_mv", "customers_mv"})
      all += select(std::string("SELECT * FROM analytics.") + view + " ORDER BY ALL") + "\n";
    return all;
  }

  /// Each row is an insert of its own, so that they lie in several parts.
  base::Result<void> insert(const domain::AnalyticsRow& row, std::chrono::milliseconds life = kPatience) {
    sink::WarehouseTables tables(warehouse());
    const std::array rows = {&row};
    MILLRACE_TRY_ASSIGN(const base::UtcTime now, tables.now(soon()));
    return tables.insert_base(rows, clock_.now(), now + life, soon());
  }
  // A deletion that was accepted before a kill is run again after it, and a round that finds the table busy
  // with it is repeated, as the purger does.
  purge::Round purge_once() {
    const auto patience = soon();
    auto round = purge::purge_once(tables_, clock_, options_);
    while (!round && round.error().kind == base::ErrorKind::kUnavailable && !patience.passed()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      round = purge::purge_once(tables_, clock_, options_);
    }
    EXPECT_TRUE(round) << round.error().message;
    return round.value_or(purge::Round{});
  }
  void expect_round(std::size_t announced, std::size_t purged) {
    const purge::Round round = purge_once();
    EXPECT_EQ(round.announced, announced);
    EXPECT_EQ(round.purged, purged);
  }

  static Fixture* fixture_;
  FixedClock clock_;
  purge::WarehousePurgeTables tables_{warehouse()};
  purge::Options options_;
};
Fixture* PurgeTest::fixture_ = nullptr;

TEST_F(PurgeTest, RemovesExactlyTheOrdersDeletedLongerAgoThanThePeriodFromTheDisk) {
  const std::string strange = "it's \\ a\tb\n'] {x:String}";
  const auto old_year = created("year", 500);
  run("SYSTEM STOP MERGES analytics.orders_analytics");  // so that the older versions are there
  for (const auto& row :
       {created("old", 20), changed(created("old", 20), 19), deleted(created("old", 20), 8),
        created("young", 20), deleted(created("young", 20), 6), created("live", 20),
        changed(created("live", 20), 19), created(strange, 20), deleted(created(strange, 20), 9), old_year,
        deleted(old_year, 10), created("back", 20), deleted(created("back", 20), 10),
        changed(created("back", 20), 9), deleted(created("alone", 20), 10)})
    ASSERT_TRUE(insert(row));
  expect_round(4, 0);
  EXPECT_EQ(rows_in_active_parts(), "15\n");
  run("SYSTEM START MERGES analytics.orders_analytics");
  expect_round(0, 4);
  const auto expect_the_rest = [&] {
    EXPECT_EQ(select("SELECT DISTINCT order_id FROM analytics.orders_analytics ORDER BY order_id"),
              "back\nlive\nyoung\n");
    EXPECT_EQ(select("SELECT order_id, toInt64(version) - {now:Int64} FROM analytics.orders_analytics FINAL "
                     "ORDER BY order_id"),
              "back\t-777600000\nlive\t-1641600000\nyoung\t-518400000\n");
    EXPECT_EQ(select("SELECT order_id FROM analytics.orders_analytics FINAL WHERE is_deleted = 1"),
              "young\n");
  };
  expect_the_rest();
  expect_round(0, 0);

  fixture_->server.kill_and_restart();
  expect_the_rest();
  run("OPTIMIZE TABLE analytics.orders_analytics FINAL");
  EXPECT_EQ(select(kVisible), "back\nlive\n");
  EXPECT_EQ(
      select("SELECT count() FROM analytics.orders_analytics WHERE order_id IN ('old', 'year', 'alone')"),
      "0\n");
}

TEST_F(PurgeTest, WaitsUntilInsertsThatDidNotSeeTheAnnouncementAreDead) {
  ASSERT_TRUE(insert(created("old", 20)));
  ASSERT_TRUE(insert(deleted(created("old", 20), 8)));
  options_.insert_life = std::chrono::hours(1);
  expect_round(1, 0);
  expect_round(0, 0);
  EXPECT_EQ(rows_in_active_parts(), "2\n");
  options_.insert_life = std::chrono::milliseconds(0);
  expect_round(0, 1);
  EXPECT_EQ(select(kRows), "");
}

TEST_F(PurgeTest, HidesTheOrderThroughAKillAfterEachOfItsSteps) {
  for (int step = 1; step <= 3; ++step) {
    SCOPED_TRACE(step);
    SetUp();
    const auto tombstone = deleted(created("old", 20), 8);
    ASSERT_TRUE(insert(created("old", 20)));
    ASSERT_TRUE(insert(changed(created("old", 20), 15)));
    ASSERT_TRUE(insert(tombstone));
    const std::array orders = {purge::DeletedOrder{tombstone.order_id, tombstone.version}};
    ASSERT_TRUE(tables_.announce(orders, soon()));
    if (step >= 2) {
      ASSERT_TRUE(tables_.delete_older_versions(orders, soon()));
      EXPECT_EQ(rows_in_active_parts(), "1\n");
    }
    if (step >= 3) {
      ASSERT_TRUE(tables_.delete_tombstones(orders, soon()));
    }
    fixture_->server.kill_and_restart();
    EXPECT_EQ(select(kVisible), "");
    run("OPTIMIZE TABLE analytics.orders_analytics FINAL");
    EXPECT_EQ(select(kVisible), "");
    expect_round(0, step == 3 ? 0 : 1);
    EXPECT_EQ(select(kRows), "");
    EXPECT_EQ(select("SELECT order_id, version FROM analytics.purged_orders FINAL"),
              "old\t" + std::to_string(tombstone.version) + "\n");
  }
}

TEST_F(PurgeTest, SendsADeletionThatOutlivedItsCallNoSecondTime) {
  const auto tombstone = deleted(created("old", 20), 8);
  ASSERT_TRUE(insert(created("old", 20)));
  ASSERT_TRUE(insert(tombstone));
  const std::array orders = {purge::DeletedOrder{tombstone.order_id, tombstone.version}};
  const std::string_view mutations =
      "SELECT count() FROM system.mutations WHERE database = 'analytics' AND table = 'orders_analytics'";
  ASSERT_TRUE(tables_.delete_older_versions(orders, soon()));
  const std::string sent = select(mutations);
  ASSERT_TRUE(tables_.delete_older_versions(orders, soon()));
  EXPECT_EQ(select(mutations), sent);
  EXPECT_EQ(rows_in_active_parts(), "1\n");
}

TEST_F(PurgeTest, FinishesWhenTheWarehouseIsKilledWhileItDeletes) {
  for (int i = 0; i < 6; ++i) {
    const auto order = created("old-" + std::to_string(i), 20);
    ASSERT_TRUE(insert(order));
    ASSERT_TRUE(insert(deleted(order, 8)));
  }
  expect_round(6, 0);
  int cut_short = 0;
  for (int round = 0; round < 3; ++round) {
    std::thread purging([&] { cut_short += purge::purge_once(tables_, clock_, options_) ? 0 : 1; });
    std::this_thread::sleep_for(std::chrono::milliseconds(3 + 9 * round));
    fixture_->server.kill_and_restart();
    purging.join();
    EXPECT_EQ(select(kVisible), "");
  }
  EXPECT_GT(cut_short, 0) << "no kill came while a purge was under way";
  // What was accepted before a kill goes on after it, so the first rounds may find the table busy.
  const auto patience = soon();
  while (select(kRows) != "" && !patience.passed()) (void)purge::purge_once(tables_, clock_, options_);
  EXPECT_EQ(select(kRows), "");
  EXPECT_EQ(rows_in_active_parts(), "0\n");
}

TEST_F(PurgeTest, LetsNoReplayBringAnOrderBackAndChangesNoView) {
  spdlog::set_level(spdlog::level::warn);
  adapters::memory::MemoryEventLog log;
  sink::Options sinking;
  sinking.idle_wait = std::chrono::milliseconds(5);
  ASSERT_TRUE(log.ensure_topic(sinking.topic, 1, soon()));
  std::vector<ports::NewRecord> records;
  for (const auto& row :
       {created("old", 20), created("live", 20), changed(created("old", 20), 19),
        deleted(changed(created("old", 20), 19), 8), created("young", 9), deleted(created("young", 9), 5)}) {
    records.push_back(record_of(row, records.size()));
  }
  ASSERT_TRUE(log.append({sinking.topic, 0}, records, soon()));
  sink::WarehouseTables tables(warehouse());
  const auto load = [&] {
    sink::Sink stage(log, tables, clock_, sinking);
    base::StopSignal stop;
    std::thread thread([&] { EXPECT_TRUE(stage.run(stop)); });
    const auto patience = soon();
    while (stage.stats().rows_loaded < records.size() && !patience.passed())
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_FALSE(patience.passed()) << "the sink did not finish";
    stop.request();
    thread.join();
    return stage.stats().purged_rows_skipped.load();
  };

  EXPECT_EQ(load(), 0u);
  const std::string views_before = views();
  EXPECT_NE(views_before.find("10.05"), std::string::npos);
  expect_round(1, 0);
  expect_round(0, 1);
  EXPECT_EQ(views(), views_before);
  const std::string rows_before =
      select("SELECT order_id, version FROM analytics.orders_analytics FINAL ORDER BY order_id");
  EXPECT_EQ(rows_before, "live\t" + std::to_string(kNow - 20 * kDay) + "\nyoung\t" +
                             std::to_string(kNow - 5 * kDay) + "\n");

  run("TRUNCATE TABLE analytics.sink_position");
  EXPECT_EQ(load(), 3u);
  EXPECT_EQ(select("SELECT order_id, version FROM analytics.orders_analytics FINAL ORDER BY order_id"),
            rows_before);
  EXPECT_EQ(views(), views_before);

  // Also when nothing is left but the log and the list of what was purged.
  for (const char* table : {"orders_analytics", "rollups", "sink_position"})
    run(std::string("TRUNCATE TABLE analytics.") + table);
  EXPECT_EQ(load(), 3u);
  EXPECT_EQ(select("SELECT order_id, version FROM analytics.orders_analytics FINAL ORDER BY order_id"),
            rows_before);
  EXPECT_EQ(views(), views_before);
}

TEST_F(PurgeTest, LetsNoInsertInAfterItsDeadline) {
  const auto late = insert(created("old", 20), std::chrono::milliseconds(-1));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().vendor_code, 469) << late.error().message;
  EXPECT_EQ(select(kRows), "");
  // Whoever knows nothing of deadlines may insert as before.
  run("INSERT INTO analytics.orders_analytics (order_id, version) VALUES ('other', 1)");
  EXPECT_EQ(select(kVisible), "other\n");
}

TEST_F(PurgeTest, MakesASinkThatComesLateStartAgain) {
  spdlog::set_level(spdlog::level::off);
  adapters::memory::MemoryEventLog log;
  sink::Options sinking;
  sinking.idle_wait = std::chrono::milliseconds(5);
  ASSERT_TRUE(log.ensure_topic(sinking.topic, 1, soon()));
  const std::vector<ports::NewRecord> records = {record_of(created("live", 20), 0)};
  ASSERT_TRUE(log.append({sinking.topic, 0}, records, soon()));
  SleepyTables tables(warehouse());
  sink::Sink stage(log, tables, clock_, sinking);
  base::StopSignal stop;
  std::thread thread([&] { EXPECT_TRUE(stage.run(stop)); });
  const auto patience = soon();
  while (stage.stats().rows_loaded < 1 && !patience.passed())
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  stop.request();
  thread.join();
  EXPECT_EQ(stage.stats().restarts, 1u);
  EXPECT_EQ(select(kVisible), "live\n");
  EXPECT_EQ(select("SELECT order_count FROM analytics.daily_sales_mv"), "1\n");
}

TEST_F(PurgeTest, RunsByItselfUntilItIsStopped) {
  options_.interval = std::chrono::milliseconds(10);
  options_.orders_max = 2;
  for (int i = 0; i < 5; ++i) {
    const auto order = created("old-" + std::to_string(i), 20);
    ASSERT_TRUE(insert(order));
    ASSERT_TRUE(insert(deleted(order, 8)));
  }
  purge::Purger purger(tables_, clock_, options_);
  base::StopSignal stop;
  std::thread thread([&] { EXPECT_TRUE(purger.run(stop)); });
  const auto patience = soon();
  while (purger.stats().purged < 5 && !patience.passed())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  stop.request();
  thread.join();
  EXPECT_EQ(purger.stats().announced, 5u);
  EXPECT_EQ(purger.stats().purged, 5u);
  EXPECT_EQ(purger.stats().failures, 0u);
  EXPECT_EQ(select(kRows), "");
}

TEST_F(PurgeTest, FindsItsColumnInTablesOfAnOlderBuild) {
  ASSERT_TRUE(insert(created("kept", 20)));
  run("ALTER TABLE analytics.orders_analytics DROP CONSTRAINT insert_deadline");
  run("ALTER TABLE analytics.orders_analytics DROP COLUMN not_after");
  run("DROP TABLE analytics.purged_orders SYNC");
  support::WarehouseServer::create_schema(warehouse());
  EXPECT_EQ(select(kVisible), "kept\n");
  EXPECT_FALSE(insert(created("late", 20), std::chrono::milliseconds(-1)));
  ASSERT_TRUE(insert(deleted(created("kept", 20), 8)));
  expect_round(1, 0);
  expect_round(0, 1);
  EXPECT_EQ(select(kRows), "");
}

// Why the schema has no TTL clause: the engine removes the expired tombstone from its part and leaves the
// older row in another.
TEST_F(PurgeTest, DoesWhatATtlClauseCannot) {
  run("CREATE DATABASE IF NOT EXISTS ttl_trial");
  run("CREATE TABLE ttl_trial.orders (order_id String, version UInt64, deleted_at Nullable(DateTime('UTC')), "
      "is_deleted UInt8) ENGINE = ReplacingMergeTree(version) ORDER BY order_id "
      "TTL ifNull(deleted_at, toDateTime('2100-01-01 00:00:00', 'UTC')) + INTERVAL 7 DAY DELETE WHERE "
      "is_deleted = 1 "
      "SETTINGS merge_with_ttl_timeout = 0");
  const std::string_view visible = "SELECT count() FROM ttl_trial.orders FINAL WHERE is_deleted = 0";
  run("INSERT INTO ttl_trial.orders SELECT toString(number), 1, NULL, 0 FROM numbers(100)");
  run("INSERT INTO ttl_trial.orders SELECT toString(number), 2, now() - INTERVAL 8 DAY, 1 FROM numbers(100)");
  const auto patience = soon();
  while (select(visible) == "0\n" && !patience.passed())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(select(visible), "100\n") << "the engine's TTL no longer brings deleted orders back: see ADR-012";
  run("DROP DATABASE ttl_trial SYNC");
}

}  // namespace
}  // namespace millrace
