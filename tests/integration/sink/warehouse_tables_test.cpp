// The sink's tables and the views on the real engine.
#include <gtest/gtest.h>

#include "adapters/clickhouse/clickhouse_warehouse.h"
#include "adapters/curl/curl_http_client.h"
#include "sink/tables.h"
#include "support/warehouse_fixture.h"

namespace millrace::sink {
namespace {

base::Deadline soon() {
  return base::Deadline::in(std::chrono::milliseconds(20'000));
}

base::UtcTime tomorrow() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()) +
         std::chrono::hours(24);
}

struct Fixture {
  support::WarehouseServer server;
  adapters::curl::CurlHttpClient client{{}};
  adapters::clickhouse::ClickhouseWarehouse adapter{
      client, {.url = server.url(), .user = "admin", .password = "test123"}};
  ports::Warehouse& warehouse() { return adapter; }
};

class WarehouseTablesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fixture_ = new Fixture;
    support::WarehouseServer::create_schema(fixture_->warehouse());
  }
  static void TearDownTestSuite() {
    delete fixture_;
    fixture_ = nullptr;
  }
  void SetUp() override {
    for (const char* table : {"orders_analytics", "rollups", "sink_position"})
      ASSERT_TRUE(
          fixture_->warehouse().execute(std::string("TRUNCATE TABLE analytics.") + table, {}, soon()));
  }

  std::string select(std::string_view query) {
    const auto answer = fixture_->warehouse().query(query, "TabSeparated", {}, soon());
    EXPECT_TRUE(answer) << answer.error().message;
    return answer.value_or("");
  }

  static domain::AnalyticsRow row(std::string order, std::uint64_t version, domain::OrderStatus status,
                                  std::string_view amount) {
    domain::AnalyticsRow made;
    made.event_id = domain::EventId(version);
    made.order_id = domain::OrderId(std::move(order));
    made.version = version;
    made.current = {domain::UserId("user-1"),
                    "it's \\ a@b\n.c",
                    base::utc_from_ms(1'767'261'600'000),  // 2026-01-01 10:00
                    *domain::Money::parse(amount),
                    2,
                    status,
                    domain::PaymentMethod::kCash,
                    domain::PaymentStatus::kPending,
                    {{domain::ProductId("prod-1"), "Näme 'x'", 2, *domain::Money::parse("0.0125")}}};
    return made;
  }

  /// Writes rows as the sink does: base rows, and running sums over `rows` as if they were all of the source.
  void load(const std::vector<domain::AnalyticsRow>& rows, const std::string& source,
            std::uint64_t as_of_offset) {
    std::vector<const domain::AnalyticsRow*> base_rows;
    RollupMap<CumulativeAggregate> sums;
    for (const auto& one : rows) {
      base_rows.push_back(&one);
      for_each_delta(one, [&](RollupKey key, const Sums& delta) {
        CumulativeAggregate& sum = sums[std::move(key)];
        sum.sums += delta;
        sum.as_of_offset = as_of_offset;
      });
    }
    std::vector<RollupRow> rollups;
    for (const auto& [key, sum] : sums) rollups.push_back({&key, &source, sum});
    WarehouseTables tables(fixture_->warehouse());
    ASSERT_TRUE(tables.insert_base(base_rows, base::utc_from_ms(1'767'261'700'000), tomorrow(), soon()));
    ASSERT_TRUE(tables.insert_rollups(rollups, soon()));
  }

  static Fixture* fixture_;
};
Fixture* WarehouseTablesTest::fixture_ = nullptr;

TEST_F(WarehouseTablesTest, ShowAnOrderInTheBaseTableAndAllFiveViews) {
  load({row("o-1", 1, domain::OrderStatus::kPending, "10.05")}, "s/0", 1);
  EXPECT_EQ(
      select("SELECT order_id, user_email, order_date, total_amount, items_count, status, payment_method, "
             "payment_status, "
             "created_at, version, event_type, deleted_at, is_deleted FROM analytics.orders_analytics FINAL"),
      "o-1\tit\\'s \\\\ a@b\\n.c\t2026-01-01 10:00:00\t10.05\t2\tPENDING\tCASH\tPENDING\t2026-01-01 "
      "10:01:40\t1\tCREATED\t\\N\t0\n");
  EXPECT_EQ(select("SELECT * FROM analytics.daily_sales_mv"), "2026-01-01\t1\t10.05\t10.05\t1\n");
  EXPECT_EQ(select("SELECT * FROM analytics.hourly_sales_mv"), "2026-01-01 10:00:00\t1\t10.05\t10.05\n");
  EXPECT_EQ(select("SELECT * FROM analytics.order_status_mv"), "2026-01-01\tPENDING\t1\t10.05\n");
  EXPECT_EQ(select("SELECT * FROM analytics.user_analytics_mv"),
            "user-1\tit\\'s \\\\ a@b\\n.c\t2026-01-01\t1\t10.05\t10.05\n");
  EXPECT_EQ(select("SELECT * FROM analytics.product_ranking_mv"),
            "2026-01-01\tprod-1\tNäme \\'x\\'\t2\t0.0125\n");
  EXPECT_EQ(select("SELECT * FROM analytics.customers_mv"), "user-1\t1\n");
}

TEST_F(WarehouseTablesTest, LeaveADeletedOrderOutOfEveryViewAndKeepItsMark) {
  auto deleted = row("o-1", 2, domain::OrderStatus::kPending, "10.05");
  deleted.type = domain::OrderEventType::kDeleted;
  deleted.before = deleted.current;
  deleted.deleted_at = base::utc_from_ms(1'767'261'800'000);
  load({row("o-1", 1, domain::OrderStatus::kPending, "10.05"), deleted}, "s/0", 2);
  for (const char* view : {"daily_sales_mv", "hourly_sales_mv", "order_status_mv", "user_analytics_mv",
                           "product_ranking_mv", "customers_mv"})
    EXPECT_EQ(select(std::string("SELECT * FROM analytics.") + view), "") << view;
  EXPECT_EQ(select("SELECT is_deleted, deleted_at, event_type FROM analytics.orders_analytics FINAL"),
            "1\t2026-01-01 10:03:20\tDELETED\n");
}

TEST_F(WarehouseTablesTest, LeaveCancelledAndRefundedOrdersOutOfSalesOnly) {
  load({row("o-1", 1, domain::OrderStatus::kCancelled, "10"),
        row("o-2", 1, domain::OrderStatus::kRefunded, "20"),
        row("o-3", 1, domain::OrderStatus::kShipped, "5")},
       "s/0", 3);
  EXPECT_EQ(select("SELECT order_count, total_revenue, unique_customers FROM analytics.daily_sales_mv"),
            "1\t5\t1\n");
  EXPECT_EQ(select("SELECT sum(order_count), sum(total_amount) FROM analytics.order_status_mv"), "3\t35\n");
  EXPECT_EQ(select("SELECT order_count, total_spent FROM analytics.user_analytics_mv"), "3\t35\n");
}

TEST_F(WarehouseTablesTest, RoundAveragesHalfUpToCents) {
  load({row("o-1", 1, domain::OrderStatus::kShipped, "0.01"),
        row("o-2", 1, domain::OrderStatus::kShipped, "0.02")},
       "s/0", 2);
  EXPECT_EQ(select("SELECT avg_order_value FROM analytics.daily_sales_mv"), "0.02\n");  // 0.015
}

TEST_F(WarehouseTablesTest, TakeTheNewestSumOfEachSourceAndAddTheSourcesUp) {
  load({row("o-1", 1, domain::OrderStatus::kPending, "1")}, "a/0", 1);
  load({row("o-1", 1, domain::OrderStatus::kPending, "1"), row("o-2", 1, domain::OrderStatus::kPending, "2")},
       "a/0", 2);
  load({row("o-1", 1, domain::OrderStatus::kPending, "1")}, "a/0", 1);  // a repeat that lands late
  load({row("o-3", 1, domain::OrderStatus::kPending, "4")}, "a/1", 9);
  const std::string expected = "3\t7\t1\n";
  const std::string query =
      "SELECT order_count, total_revenue, unique_customers FROM analytics.daily_sales_mv";
  EXPECT_EQ(select(query), expected);
  ASSERT_TRUE(fixture_->warehouse().execute("OPTIMIZE TABLE analytics.rollups FINAL", {}, soon()));
  EXPECT_EQ(select(query), expected);
}

TEST_F(WarehouseTablesTest, GiveBackPositionsAndSums) {
  WarehouseTables tables(fixture_->warehouse());
  EXPECT_EQ(*tables.position("s/0", soon()), (SinkPosition{0, -1}));
  ASSERT_TRUE(tables.write_positions({{"s/0", {5, 40}}, {"s/1", {7, -1}}}, base::utc_from_ms(1), soon()));
  ASSERT_TRUE(tables.write_positions({{"s/0", {3, 20}}}, base::utc_from_ms(2), soon()));
  EXPECT_EQ(*tables.position("s/0", soon()), (SinkPosition{5, 40}));
  EXPECT_EQ(*tables.position("s/1", soon()), (SinkPosition{7, -1}));

  load({row("o-1", 1, domain::OrderStatus::kPending, "1.25")}, "s/0", 6);
  const RollupKey strange{Dimension::kUserDay, "user-1", 1'767'225'600, "it's \\ a@b\n.c", ""};
  const RollupKey absent{Dimension::kDayUser, "", 1'767'225'600, "nobody", ""};
  const std::array keys = {strange, absent};
  const auto sums = tables.read_sums("s/0", keys, soon());
  ASSERT_TRUE(sums) << sums.error().message;
  ASSERT_EQ(sums->size(), 1u);
  EXPECT_EQ(sums->front().first, strange);
  EXPECT_EQ(sums->front().second, (CumulativeAggregate{6, {1, 1, 0, *domain::Money::parse("1.25")}}));

  const auto all = tables.load_cache("s/0", 100, soon());
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->size(), 4u);
  EXPECT_EQ(all->complete_since(), 0u);
  EXPECT_EQ(all->find(strange), (CumulativeAggregate{6, {1, 1, 0, *domain::Money::parse("1.25")}}));
  EXPECT_EQ(all->find(absent), CumulativeAggregate{});
  const auto none = tables.load_cache("s/0", 3, soon());
  ASSERT_TRUE(none);
  EXPECT_EQ(none->size(), 0u);
  EXPECT_EQ(none->find(strange), std::nullopt);
}

TEST_F(WarehouseTablesTest, TakeTextsOfAllBytesAsParameters) {
  const std::string strange = "a\\b\tc\nd\r'e\"f%g&h=i/\xc3\xa4";
  std::string hex;
  for (const char c : strange) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    hex += {kDigits[byte >> 4u], kDigits[byte & 0xfu]};
  }
  const std::array parameters = {ports::QueryParameter{"text", strange}, ports::QueryParameter{"hex", hex}};
  const auto answer = fixture_->warehouse().query("SELECT {text:String} = unhex({hex:String})",
                                                  "TabSeparated", parameters, soon());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, "1\n");
}

TEST_F(WarehouseTablesTest, ReadThousandsOfSumsAtATime) {
  std::vector<domain::AnalyticsRow> rows;
  std::vector<RollupKey> keys;
  for (int i = 0; i < 1'500; ++i) {
    auto one = row("o-" + std::to_string(i), 1, domain::OrderStatus::kPending, "1");
    one.current.user_id = domain::UserId("00000000-0000-0000-0000-00000000" + std::to_string(1'000 + i));
    keys.push_back({Dimension::kDayUser, "", 1'767'225'600, one.current.user_id.value(), ""});
    rows.push_back(std::move(one));
  }
  load(rows, "s/0", 1'500);
  WarehouseTables tables(fixture_->warehouse());
  const auto sums = tables.read_sums("s/0", keys, soon());
  ASSERT_TRUE(sums) << sums.error().message;
  EXPECT_EQ(sums->size(), keys.size());
}

TEST_F(WarehouseTablesTest, KeepWhatWasAcknowledgedThroughAKill) {
  load({row("o-1", 1, domain::OrderStatus::kPending, "10.05")}, "s/0", 1);
  fixture_->server.kill_and_restart();
  EXPECT_EQ(select("SELECT order_count, total_revenue FROM analytics.daily_sales_mv"), "1\t10.05\n");
  EXPECT_EQ(select("SELECT count() FROM analytics.orders_analytics FINAL"), "1\n");
}

}  // namespace
}  // namespace millrace::sink
