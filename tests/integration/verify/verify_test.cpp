// verify against a real MariaDB and the real embedded warehouse: a right pair of sides is clean, every
// planted error is found and named.
#include "verify/verify.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/curl/curl_http_client.h"
#include "adapters/mysql/mysql_sql_reader.h"
#include "integration/verify/two_sides.h"

namespace millrace::verify {
namespace {

using namespace std::chrono_literals;

VerifyOptions quick() {
  VerifyOptions options;
  options.patience = 0ms;
  options.recheck_pause = 10ms;
  options.chunk_rows = 50;
  return options;
}

base::Result<VerifyReport> verify_sides(TwoSides& sides, const VerifyOptions& options) {
  adapters::mysql::MysqlSqlReader reader(sides.database().address());
  return verify(reader, sides.warehouse(), options, nullptr);
}

TEST(Verify, IsCleanOnTwoEmptySides) {
  TwoSides sides;
  const auto report = verify_sides(sides, quick());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->clean()) << to_table(*report);
  EXPECT_EQ(report->rounds, 0U);
}

TEST(Verify, IsCleanWhenTheWarehouseIsRightWhateverTheChunks) {
  TwoSides sides;
  const auto orders = sample_orders(300);
  sides.store_orders(orders);
  sides.load_base(orders);
  sides.replace_views_by_tables();
  for (const std::size_t chunk : {1U, 7U, 299U, 300U, 10'000U}) {
    VerifyOptions options = quick();
    options.chunk_rows = chunk;
    const auto report = verify_sides(sides, options);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->clean()) << chunk << "\n" << to_table(*report);
    EXPECT_EQ(report->tables[0].compared, 300U);
    for (const TableReport& table : report->tables) EXPECT_GT(table.compared, 4U) << table.name;
    EXPECT_EQ(report->rounds, 0U) << to_table(*report);
  }
}

TEST(Verify, IsCleanOnTheRealViews) {
  TwoSides sides;
  const auto orders = sample_orders(300);
  sides.store_orders(orders);
  sides.load_base(orders);
  sides.load_rollups();
  VerifyOptions options = quick();
  options.chunk_rows = 13;
  const auto report = verify_sides(sides, options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->clean()) << to_table(*report);
}

struct Planted {
  const char* name;
  const char* table;
  const char* contents;  ///< A SELECT of the table's new contents from sample.old, its right ones.
  const char* column;    ///< That the difference must name; empty: the row as a whole.
};
void PrintTo(const Planted& planted, std::ostream* out) {
  *out << planted.name;
}

class VerifyFinds : public testing::TestWithParam<Planted> {};

TEST_P(VerifyFinds, AndNamesThePlantedError) {
  const std::string table = GetParam().table;
  TwoSides sides;
  const auto orders = sample_orders(120);
  sides.store_orders(orders);
  sides.load_base(orders);
  sides.replace_views_by_tables();
  const bool base = table == "orders";
  const std::string full_name = base ? "analytics.orders_analytics" : "analytics." + table;
  sides.run(fmt::format("CREATE TABLE sample.old ENGINE = Memory AS SELECT * FROM {}", full_name));
  sides.run(fmt::format("DROP TABLE {}", full_name));
  sides.run(fmt::format("CREATE TABLE {} ENGINE = {} AS {}", full_name,
                        base ? "ReplacingMergeTree(version) ORDER BY order_id" : "MergeTree ORDER BY tuple()",
                        GetParam().contents));

  const auto report = verify_sides(sides, quick());

  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->clean());
  EXPECT_EQ(report->differences_total(), 1U) << to_table(*report);
  ASSERT_FALSE(report->differences.empty());
  const Difference& difference = report->differences.front();
  EXPECT_EQ(difference.table, table) << to_table(*report);
  EXPECT_EQ(difference.column, GetParam().column) << to_table(*report);
  EXPECT_NE(difference.store_value, difference.warehouse_value);
  for (const TableReport& one : report->tables)
    EXPECT_EQ(one.differences, one.name == table ? 1U : 0U) << one.name;
}

// Order 17 (hexadecimal 77) is not deleted; order 3 (15) was deleted yesterday.
#define MILLRACE_ORDER "'01890000-0000-7000-8000-000000000077'"
#define MILLRACE_DELETED "'01890000-0000-7000-8000-000000000015'"
#define MILLRACE_SET(condition, column, value) \
  "SELECT * REPLACE(if(" condition ", " value ", " column ") AS " column ") FROM sample.old"
#define MILLRACE_SET_ORDER(column, value) MILLRACE_SET("order_id = " MILLRACE_ORDER, column, value)
#define MILLRACE_FIRST(key) key " = (SELECT min(" key ") FROM sample.old)"
#define MILLRACE_LAST(key) key " = (SELECT max(" key ") FROM sample.old)"
#define MILLRACE_ONE "(SELECT * FROM sample.old WHERE order_id = " MILLRACE_ORDER ")"
#define MILLRACE_CUSTOMER_DAY "tuple(user_id, user_email, order_date)"
#define MILLRACE_PRODUCT_DAY "tuple(order_date, product_id, product_name)"
constexpr Planted kPlanted[] = {
    {"AMissingOrder", "orders", "SELECT * FROM sample.old WHERE order_id != " MILLRACE_ORDER, ""},
    {"AnExtraOrder", "orders",
     "SELECT * FROM sample.old UNION ALL SELECT * REPLACE(concat(order_id, '!') AS order_id) "
     "FROM " MILLRACE_ONE,
     ""},
    {"AnExtraOrderAtTheVeryEnd", "orders",
     "SELECT * FROM sample.old UNION ALL SELECT * REPLACE('z' AS order_id) FROM " MILLRACE_ONE, ""},
    {"AnExtraOrderEvenIfDeleted", "orders",
     "SELECT * FROM sample.old UNION ALL SELECT * REPLACE('' || 'a' AS order_id, 1 AS is_deleted) "
     "FROM " MILLRACE_ONE,
     ""},
    {"AWrongTotal", "orders",
     MILLRACE_SET_ORDER("total_amount",
                        "CAST(total_amount + CAST('0.01', 'Decimal(9, 4)'), 'Decimal(18, 2)')"),
     "total_amount"},
    {"AWrongStatus", "orders", MILLRACE_SET_ORDER("status", "'PENDING'"), "status"},
    {"AWrongUser", "orders", MILLRACE_SET_ORDER("user_id", "'user-0'"), "user_id"},
    {"AWrongEmail", "orders", MILLRACE_SET_ORDER("user_email", "'x@x'"), "user_email"},
    {"AWrongItemsCount", "orders", MILLRACE_SET_ORDER("items_count", "toUInt32(items_count + 1)"),
     "items_count"},
    {"AWrongPaymentMethod", "orders", MILLRACE_SET_ORDER("payment_method", "'GOLD'"), "payment_method"},
    {"AWrongPaymentStatus", "orders", MILLRACE_SET_ORDER("payment_status", "''"), "payment_status"},
    {"ADateASecondOff", "orders", MILLRACE_SET_ORDER("order_date", "order_date + 1"), "order_date"},
    {"AnUndeletedOrder", "orders", MILLRACE_SET("order_id = " MILLRACE_DELETED, "is_deleted", "0"),
     "is_deleted"},
    {"AForgottenTimeOfDeletion", "orders", MILLRACE_SET("order_id = " MILLRACE_DELETED, "deleted_at", "NULL"),
     "deleted_at"},
    {"ADeletedOrderPurgedTooSoon", "orders", "SELECT * FROM sample.old WHERE order_id != " MILLRACE_DELETED,
     ""},
    {"ADayOffByOneCent", "daily_sales_mv",
     MILLRACE_SET(MILLRACE_FIRST("order_date"), "total_revenue",
                  "CAST(total_revenue + CAST('0.01', 'Decimal(9, 4)'), 'Decimal(38, 2)')"),
     "total_revenue"},
    {"ADayOffByOneCustomer", "daily_sales_mv",
     MILLRACE_SET(MILLRACE_LAST("order_date"), "unique_customers", "unique_customers + 1"),
     "unique_customers"},
    {"AWrongAverage", "daily_sales_mv",
     MILLRACE_SET(MILLRACE_LAST("order_date"), "avg_order_value",
                  "CAST(avg_order_value + CAST('0.01', 'Decimal(9, 4)'), 'Decimal(38, 2)')"),
     "avg_order_value"},
    {"AMissingDay", "daily_sales_mv", "SELECT * FROM sample.old WHERE NOT " MILLRACE_FIRST("order_date"), ""},
    {"AnHourOffByOneOrder", "hourly_sales_mv",
     MILLRACE_SET(MILLRACE_LAST("order_hour"), "order_count", "order_count + 1"), "order_count"},
    {"AMissingHour", "hourly_sales_mv", "SELECT * FROM sample.old WHERE NOT " MILLRACE_LAST("order_hour"),
     ""},
    {"AMissingStatus", "order_status_mv",
     "SELECT * FROM sample.old WHERE NOT " MILLRACE_LAST("tuple(order_date, status)"), ""},
    {"AnExtraStatus", "order_status_mv", "SELECT * FROM sample.old UNION ALL SELECT today(), 'PENDING', 1, 5",
     ""},
    {"AKeyOfNothing", "order_status_mv", "SELECT * FROM sample.old UNION ALL SELECT today(), 'PENDING', 0, 0",
     ""},
    {"AKeyTwice", "order_status_mv",
     "SELECT * FROM sample.old UNION ALL SELECT * FROM sample.old WHERE " MILLRACE_LAST(
         "tuple(order_date, status)"),
     "rows"},
    {"AnExtraCustomerDay", "user_analytics_mv",
     "SELECT * FROM sample.old UNION ALL SELECT * REPLACE('user-9' AS user_id) FROM (SELECT * FROM "
     "sample.old LIMIT 1)",
     ""},
    {"ACustomerDayOffByACent", "user_analytics_mv",
     MILLRACE_SET(MILLRACE_LAST(MILLRACE_CUSTOMER_DAY), "total_spent",
                  "CAST(total_spent - CAST('0.01', 'Decimal(9, 4)'), 'Decimal(38, 2)')"),
     "total_spent"},
    {"AProductOffByOnePiece", "product_ranking_mv",
     MILLRACE_SET(MILLRACE_FIRST(MILLRACE_PRODUCT_DAY), "quantity", "quantity + 1"), "quantity"},
    {"AProductOffByATenThousandth", "product_ranking_mv",
     MILLRACE_SET(MILLRACE_LAST(MILLRACE_PRODUCT_DAY), "revenue",
                  "CAST(revenue + CAST('0.0001', 'Decimal(9, 4)'), 'Decimal(38, 4)')"),
     "revenue"},
};
INSTANTIATE_TEST_SUITE_P(Planted, VerifyFinds, testing::ValuesIn(kPlanted),
                         [](const auto& planted) { return std::string(planted.param.name); });

TEST(Verify, FindsAStaleVersionAndSaysWhich) {
  TwoSides sides;
  auto orders = sample_orders(60);
  sides.load_base(orders);
  sides.replace_views_by_tables();
  orders[17].version += 5;
  orders[17].payment_status = "FAILED";
  sides.store_orders(orders);
  const auto report = verify_sides(sides, quick());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->differences_total(), 1U) << to_table(*report);
  EXPECT_NE(to_table(*report).find(fmt::format("orders {}: version: MySQL {}, warehouse {}", orders[17].id,
                                               orders[17].version, orders[17].version - 5)),
            std::string::npos)
      << to_table(*report);
}

TEST(Verify, CountsAllAndShowsTheFirstWhenEverythingIsMissing) {
  TwoSides sides;
  const auto orders = sample_orders(300);
  sides.store_orders(orders);
  VerifyOptions options = quick();
  options.candidates_max = 20;
  options.differences_shown_max = 3;
  const auto report = verify_sides(sides, options);
  ASSERT_TRUE(report) << report.error().message;
  std::uint64_t purged = 0;
  for (const SampleOrder& order : orders)
    purged += order.deleted_ms && order.id != orders[3].id &&
              *order.deleted_ms < orders[3].deleted_ms.value() - 1000;
  EXPECT_EQ(report->tables[0].differences, 300U - purged);
  EXPECT_TRUE(report->tables[0].too_many);
  EXPECT_LE(report->differences.size(), 18U);
}

TEST(Verify, SaysUnavailableWhenTheWarehouseIsAway) {
  TwoSides sides;
  adapters::curl::CurlHttpClient client({});
  adapters::clickhouse::ClickhouseWarehouse away(
      client, {.url = "http://127.0.0.1:1", .user = "admin", .password = "test123"});
  adapters::mysql::MysqlSqlReader reader(sides.database().address());
  VerifyOptions impatient = quick();
  impatient.patience = 300ms;
  const auto report = verify(reader, away, impatient, nullptr);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, base::ErrorKind::kUnavailable);
}

TEST(Verify, SaysUnavailableWhenMysqlIsAway) {
  TwoSides sides;
  auto address = sides.database().address();
  address.port = 1;
  adapters::mysql::MysqlSqlReader reader(address);
  VerifyOptions impatient = quick();
  impatient.patience = 300ms;
  const auto report = verify(reader, sides.warehouse(), impatient, nullptr);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, base::ErrorKind::kUnavailable);
}

TEST(Verify, GoesOnWithAFreshSnapshotWhenMysqlComesBack) {
  TwoSides sides;
  const auto orders = sample_orders(300);
  sides.store_orders(orders);
  sides.load_base(orders);
  sides.replace_views_by_tables();
  VerifyOptions options = quick();
  options.patience = 60s;
  options.chunk_rows = 10;
  int restarts = 0;
  adapters::mysql::MysqlSqlReader reader(sides.database().address());
  const auto report = verify(reader, sides.warehouse(), options, [&](const VerifyProgress& progress) {
    const bool in_orders = restarts == 0 && progress.doing == "orders" && progress.rows == 150;
    const bool in_a_view = restarts == 1 && progress.doing == "product_ranking_mv";
    if (!in_orders && !in_a_view) return;
    ++restarts;
    support::MariadbServer::get().kill();
    support::MariadbServer::get().start();
  });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(restarts, 2);
  EXPECT_TRUE(report->clean()) << to_table(*report);
  EXPECT_EQ(report->tables[0].compared, 300U);
}

TEST(Verify, EndsOnAStopSignal) {
  TwoSides sides;
  const auto orders = sample_orders(300);
  sides.store_orders(orders);
  base::StopSignal stop;
  VerifyOptions options = quick();
  options.patience = 1h;
  options.chunk_rows = 10;
  options.stop = &stop;
  adapters::mysql::MysqlSqlReader reader(sides.database().address());
  const auto report = verify(reader, sides.warehouse(), options, [&](const VerifyProgress& progress) {
    if (progress.doing != "orders") stop.request();
  });
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().message.find("stopped"), std::string::npos);
}

}  // namespace
}  // namespace millrace::verify
