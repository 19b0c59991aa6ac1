// The analytics questions and their routes over the real engine and the real views.
#include "analytics/analytics.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/clickhouse/clickhouse_warehouse.h"
#include "adapters/curl/curl_http_client.h"
#include "support/warehouse_fixture.h"

namespace millrace::analytics {
namespace {

using namespace std::chrono_literals;
using domain::Money;

base::Deadline soon() {
  return base::Deadline::in(20s);
}
std::chrono::sys_days january(unsigned day) {
  return std::chrono::year(2026) / 1 / static_cast<int>(day);
}

class AnalyticsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new support::WarehouseServer;
    client_ = new adapters::curl::CurlHttpClient({});
  }
  static void TearDownTestSuite() {
    delete client_;
    delete server_;
  }

  AnalyticsTest() { execute("DROP DATABASE IF EXISTS analytics"); }
  void create_schema() { support::WarehouseServer::create_schema(warehouse_); }
  void execute(const std::string& statement) {
    const auto done = warehouse_.execute(statement, {}, soon());
    ASSERT_TRUE(done) << done.error().message;
  }
  /// One order's contribution to the running sums, as a source of its own: lines of the table rollups.
  std::string order_rows(const std::string& hour, const std::string& user, const std::string& status,
                         const std::string& amount) {
    const int sales = status == "CANCELLED" || status == "REFUNDED" ? 0 : 1;
    const std::string day = hour.substr(0, 10) + " 00:00:00";
    ++source_;
    const std::string tail = fmt::format("s{}\t1\t", source_);
    return fmt::format("hour_status\t\t{}\t{}\t{}1\t0\t{}\n", hour, status, tail, amount) +
           fmt::format("day_user\t\t{}\t{}\t{}0\t{}\t0\n", day, user, tail, sales) +
           fmt::format("user_day\t{}\t{}\t{}@shop.example\t{}1\t{}\t{}\n", user, day, user, tail, sales,
                       amount);
  }
  void add_orders() {
    create_schema();
    const std::string rows = order_rows("2026-01-30 09:00:00", "ann", "DELIVERED", "10.00") +
                             order_rows("2026-01-30 09:00:00", "bob", "PENDING", "20.01") +
                             order_rows("2026-01-30 23:00:00", "ann", "PENDING", "0.01") +
                             order_rows("2026-01-31 00:00:00", "ann", "SHIPPED", "5.50") +
                             order_rows("2026-01-31 00:00:00", "cat", "CANCELLED", "99.00");
    const std::vector<std::string_view> columns{"dimension", "leader",      "bucket",     "key1",  "source",
                                                "upto",      "order_count", "sale_count", "amount"};
    const auto done = warehouse_.insert("analytics.rollups", columns, "TabSeparated", rows, soon());
    ASSERT_TRUE(done) << done.error().message;
  }

  static inline support::WarehouseServer* server_ = nullptr;
  static inline adapters::curl::CurlHttpClient* client_ = nullptr;
  adapters::clickhouse::ClickhouseWarehouse warehouse_{
      *client_, {.url = server_->url(), .user = "admin", .password = "test123"}};
  Analytics analytics_{warehouse_};
  int source_ = 0;
};

TEST_F(AnalyticsTest, DailySalesComeNewestFirstWithoutCancelledOrders) {
  add_orders();
  const auto rows = analytics_.daily_sales({}, soon());
  ASSERT_TRUE(rows) << rows.error().message;
  const std::vector<DailySales> expected{
      {january(31), 1, Money::from_cents(550), Money::from_cents(550), 1},
      {january(30), 3, Money::from_cents(3002), Money::from_cents(1001), 2}};
  EXPECT_EQ(*rows, expected);
}

TEST_F(AnalyticsTest, RangesIncludeBothDaysAndLimitsCutTheOldest) {
  add_orders();
  const auto first = analytics_.daily_sales({.first_day = january(30), .last_day = january(30)}, soon());
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_EQ(first->size(), 1U);
  EXPECT_EQ(first->front().order_date, january(30));
  const auto newest = analytics_.daily_sales({.first_day = {}, .last_day = {}, .rows_max = 1}, soon());
  ASSERT_TRUE(newest);
  ASSERT_EQ(newest->size(), 1U);
  EXPECT_EQ(newest->front().order_date, january(31));
  const std::chrono::sys_days early = std::chrono::year(1066) / 10 / 14;
  const std::chrono::sys_days late = std::chrono::year(9999) / 12 / 31;
  const auto all = analytics_.hourly_sales({.first_day = early, .last_day = late}, soon());
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->size(), 3U);
}

TEST_F(AnalyticsTest, HourlySalesOfADayEndAtMidnight) {
  add_orders();
  const auto rows = analytics_.hourly_sales({.first_day = january(30), .last_day = january(30)}, soon());
  ASSERT_TRUE(rows) << rows.error().message;
  const std::vector<HourlySales> expected{
      {january(30) + 23h, 1, Money::from_cents(1), Money::from_cents(1)},
      {january(30) + 9h, 2, Money::from_cents(3001), Money::from_cents(1501)}};
  EXPECT_EQ(*rows, expected);
}

TEST_F(AnalyticsTest, OrderStatusShowsAllStatuses) {
  add_orders();
  const auto rows = analytics_.order_status({.first_day = january(31)}, soon());
  ASSERT_TRUE(rows) << rows.error().message;
  const std::vector<StatusCount> expected{{january(31), "CANCELLED", 1, Money::from_cents(9900)},
                                          {january(31), "SHIPPED", 1, Money::from_cents(550)}};
  EXPECT_EQ(*rows, expected);
}

TEST_F(AnalyticsTest, StatsCountCustomersOfAllTimeOnce) {
  add_orders();
  const auto stats = analytics_.stats(soon());
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(*stats, (Stats{4, Money::from_cents(3552), Money::from_cents(888), 2}));
}

TEST_F(AnalyticsTest, StatsOfAnEmptyShopAreZeros) {
  create_schema();
  const auto stats = analytics_.stats(soon());
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(*stats, Stats{});
  EXPECT_EQ(analytics_.daily_sales({}, soon())->size(), 0U);
}

TEST_F(AnalyticsTest, TablesThatAreNotThereYetMeanTryAgain) {
  const auto rows = analytics_.daily_sales({}, soon());
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().kind, base::ErrorKind::kUnavailable) << rows.error().message;
  EXPECT_TRUE(analytics_.health(soon()));
}

TEST_F(AnalyticsTest, AnyDatabaseNameIsOneIdentifier) {
  Analytics other(warehouse_, {.database = "x` WHERE 1 --"});
  const auto rows = other.daily_sales({}, soon());
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().kind, base::ErrorKind::kUnavailable) << rows.error().message;
}

TEST_F(AnalyticsTest, AWrongPasswordIsNoReasonToTryAgain) {
  adapters::clickhouse::ClickhouseWarehouse locked(
      *client_, {.url = server_->url(), .user = "admin", .password = "wrong"});
  Analytics analytics(locked);
  const auto healthy = analytics.health(soon());
  ASSERT_FALSE(healthy);
  EXPECT_EQ(healthy.error().kind, base::ErrorKind::kFatal) << healthy.error().message;
}

}  // namespace
}  // namespace millrace::analytics
