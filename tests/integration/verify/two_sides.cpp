#include "integration/verify/two_sides.h"

#include <chrono>
#include <stdexcept>

#include <fmt/format.h>

#include "base/json.h"
#include "base/utc_time.h"
#include "support/warehouse_fixture.h"

namespace millrace::verify {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kDayMs = 86'400'000;

std::int64_t now_ms() {
  return base::to_ms(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
}

void or_throw(const base::Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message);
}

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\t') {
      out += "\\t";
    } else if (c == '\\') {
      out += "\\\\";
    } else {
      out += c;
    }
  }
  return out;
}

std::string money(std::int64_t cents) {
  return fmt::format("{}.{:02}", cents / 100, cents % 100);
}
std::string price(std::int64_t units) {
  return fmt::format("{}.{:04}", units / 10'000, units % 10'000);
}
std::string sql_time(std::int64_t ms) {
  return base::to_sql(base::utc_from_ms(ms));
}

/// One process for all tests of the program.
const support::WarehouseServer& server() {
  static const support::WarehouseServer server;
  return server;
}

}  // namespace

std::int64_t SampleOrder::total_cents() const {
  std::int64_t units = 0;
  for (const SampleLine& line : lines) units += line.quantity * line.price;
  return (units + 50) / 100;
}

std::int64_t SampleOrder::items_count() const {
  std::int64_t count = 0;
  for (const SampleLine& line : lines) count += line.quantity;
  return count;
}

std::string SampleOrder::image_json() const {
  std::string text;
  base::JsonWriter out(text);
  out.begin_object();
  out.key("orderId").string(id);
  out.key("userId").string(user_id);
  out.key("userEmail").string(user_email);
  out.key("totalAmount").raw(money(total_cents()));
  out.key("status").string(status);
  out.key("paymentMethod").string(method);
  out.key("paymentStatus").string(payment_status);
  out.key("createdAt").string(base::to_iso8601(base::utc_from_ms(created_ms)));
  out.key("items").begin_array();
  for (const SampleLine& line : lines) {
    out.begin_object();
    out.key("productId").string(line.product_id);
    out.key("productName").string(line.product_name);
    out.key("quantity").number(line.quantity);
    out.key("price").raw(price(line.price));
    out.end_object();
  }
  out.end_array().end_object();
  return text;
}

std::vector<SampleOrder> sample_orders(std::size_t count) {
  static const std::vector<std::string> kStatuses = {
      "PENDING", "PAYMENT_PROCESSING", "PAYMENT_CONFIRMED", "PREPARING",
      "SHIPPED", "DELIVERED",          "CANCELLED",         "REFUNDED"};
  static const std::vector<std::string> kMethods = {"CREDIT_CARD", "DEBIT_CARD", "BANK_TRANSFER", "PAYPAL",
                                                    "CASH"};
  static const std::vector<std::string> kPayments = {"PENDING", "PROCESSING", "COMPLETED", "FAILED",
                                                     "REFUNDED"};
  static const std::vector<std::string> kEmails = {"ann@example.com",          "Ann@example.com",
                                                   "bj\xc3\xb6rn@example.com", "back\\slash@x",
                                                   "ann@example.com ",         "tab\tbed@x"};
  static const std::vector<std::string> kNames = {
      "Lamp", "lamp", "Lamp ", "L\xc3\xa1mpara", "Tab\tle 'quoted'", "Back\\pack"};
  const std::int64_t first_ms = (now_ms() / kDayMs - 12) * kDayMs;
  std::vector<SampleOrder> orders;
  for (std::size_t i = 0; i < count; ++i) {
    SampleOrder order;
    order.id = fmt::format("01890000-0000-7000-8000-{:012x}", i * 7);
    order.user_id = fmt::format("user-{}", 1 + i % 3);
    order.user_email = kEmails[i % kEmails.size()];
    order.created_ms = first_ms + static_cast<std::int64_t>(i * 7'919'123 % (5 * kDayMs));
    order.status = kStatuses[i % kStatuses.size()];
    order.method = kMethods[i % kMethods.size()];
    order.payment_status = kPayments[i / 3 % kPayments.size()];
    order.version = static_cast<std::uint64_t>(order.created_ms) + i % 5;
    if (i % 11 == 3) order.deleted_ms = now_ms() - kDayMs;
    if (i % 17 == 5) order.deleted_ms = now_ms() - 8 * kDayMs;
    for (std::size_t line = 0; line <= i % 3; ++line) {
      const std::size_t product = (i + line * 2) % 6;
      order.lines.push_back({.product_id = fmt::format("prod-{}", product + 1),
                             .product_name = kNames[(i + line) % kNames.size()],
                             .quantity = static_cast<std::int64_t>(1 + (i + line) % 4),
                             .price = static_cast<std::int64_t>(12'345 + i % 997 * 101)});
    }
    orders.push_back(std::move(order));
  }
  return orders;
}

TwoSides::TwoSides()
    : client_({}), warehouse_(client_, {.url = server().url(), .user = "admin", .password = "test123"}) {
  run("DROP DATABASE IF EXISTS analytics");
  run("DROP DATABASE IF EXISTS sample");
  support::WarehouseServer::create_schema(warehouse_);
  run("CREATE DATABASE sample");
  run("CREATE TABLE sample.lines (order_id String, product_id String, product_name String, quantity UInt64, "
      "revenue Decimal(38, 4))"
      " ENGINE = Memory");
}

void TwoSides::run(const std::string& statement) {
  or_throw(warehouse_.execute(statement, {}, base::Deadline::in(60s)));
}

void TwoSides::insert(const std::string& table, const std::string& tab_separated) {
  const auto separator = table.find(' ');
  std::vector<std::string> names;
  std::string list = separator == std::string::npos ? "" : table.substr(separator + 1);
  for (std::size_t at = 0; at < list.size();) {
    const auto end = std::min(list.find(' ', at), list.size());
    names.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  const std::vector<std::string_view> columns(names.begin(), names.end());
  or_throw(warehouse_.insert(table.substr(0, separator), columns, "TabSeparated", tab_separated,
                             base::Deadline::in(60s)));
}

void TwoSides::store_orders(const std::vector<SampleOrder>& orders) {
  std::string rows, items, payments;
  const auto next = [](std::string& list) { return list.empty() ? "" : ", "; };
  for (const SampleOrder& order : orders) {
    const std::string created = quoted(sql_time(order.created_ms));
    rows += fmt::format("{}({}, {}, {}, {}, {}, {}, {}, {}, {})", next(rows), quoted(order.id),
                        quoted(order.user_id), quoted(order.user_email), money(order.total_cents()),
                        quoted(order.status), order.version, created, created,
                        order.deleted_ms ? quoted(sql_time(*order.deleted_ms)) : "NULL");
    payments += fmt::format("{}({}, {}, {}, {}, {}, {})", next(payments), quoted("p" + order.id.substr(1)),
                            quoted(order.id), money(order.total_cents()), quoted(order.payment_status),
                            quoted(order.method), created);
    for (const SampleLine& line : order.lines)
      items +=
          fmt::format("{}({}, {}, {}, {}, {}, {})", next(items), quoted(order.id), quoted(line.product_id),
                      quoted(line.product_name), line.quantity, price(line.price), created);
  }
  database_.run(
      "INSERT INTO orders (id, user_id, user_email, total_amount, status, version, created_at, updated_at, "
      "deleted_at)"
      " VALUES " +
      rows);
  database_.run(
      "INSERT INTO order_items (order_id, product_id, product_name, quantity, price, created_at) VALUES " +
      items);
  database_.run("INSERT INTO payments (id, order_id, amount, status, method, created_at) VALUES " + payments);
}

void TwoSides::store_with_event(const SampleOrder& order, const std::optional<SampleOrder>& before) {
  const std::string type = !before            ? "OrderCreated"
                           : order.deleted_ms ? "OrderDeleted"
                                              : "OrderStatusChanged";
  std::string payload;
  base::JsonWriter out(payload);
  out.begin_object().key("eventType").string(type).key("version").number(order.version);
  if (before) out.key("before").raw(before->image_json());
  if (!order.deleted_ms) out.key("after").raw(order.image_json());
  out.end_object();
  std::string rows;
  if (before) {
    rows = fmt::format("UPDATE orders SET status = {}, version = {}, deleted_at = {} WHERE id = {};",
                       quoted(order.status), order.version,
                       order.deleted_ms ? quoted(sql_time(*order.deleted_ms)) : "NULL", quoted(order.id));
  } else {
    const std::string created = quoted(sql_time(order.created_ms));
    rows = fmt::format(
        "INSERT INTO orders (id, user_id, user_email, total_amount, status, version, created_at, updated_at)"
        " VALUES ({}, {}, {}, {}, {}, {}, {}, {});",
        quoted(order.id), quoted(order.user_id), quoted(order.user_email), money(order.total_cents()),
        quoted(order.status), order.version, created, created);
    for (const SampleLine& line : order.lines)
      rows += fmt::format(
          "INSERT INTO order_items (order_id, product_id, product_name, quantity, price) VALUES ({}, {}, {}, "
          "{}, {});",
          quoted(order.id), quoted(line.product_id), quoted(line.product_name), line.quantity,
          price(line.price));
    rows += fmt::format(
        "INSERT INTO payments (id, order_id, amount, status, method) VALUES ({}, {}, {}, {}, {});",
        quoted("p" + order.id.substr(1)), quoted(order.id), money(order.total_cents()),
        quoted(order.payment_status), quoted(order.method));
  }
  database_.run(
      fmt::format("BEGIN NOT ATOMIC START TRANSACTION; {} INSERT INTO outbox (aggregate_id, aggregate_type, "
                  "event_type, payload)"
                  " VALUES ({}, 'Order', {}, {}); COMMIT; END",
                  rows, quoted(order.id), quoted(type), quoted(payload)));
}

std::string base_row(const SampleOrder& order) {
  return fmt::format(
      "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", escaped(order.id), escaped(order.user_id),
      escaped(order.user_email), order.created_ms / 1000, money(order.total_cents()), order.items_count(),
      order.status, order.method, order.payment_status, now_ms() / 1000, order.version,
      order.deleted_ms ? "DELETED" : "CREATED",
      order.deleted_ms ? std::to_string(*order.deleted_ms / 1000) : "\\N", order.deleted_ms ? 1 : 0);
}

void TwoSides::load_base(const std::vector<SampleOrder>& orders) {
  std::string rows;
  for (const SampleOrder& order : orders) {
    if (!order.deleted_ms || now_ms() - *order.deleted_ms < 7 * kDayMs) rows += base_row(order);
  }
  insert(
      "analytics.orders_analytics order_id user_id user_email order_date total_amount items_count status "
      "payment_method"
      " payment_status created_at version event_type deleted_at is_deleted",
      rows);
  rows.clear();
  for (const SampleOrder& order : orders) {
    for (const SampleLine& line : order.lines)
      rows += fmt::format("{}\t{}\t{}\t{}\t{}\n", order.id, line.product_id, escaped(line.product_name),
                          line.quantity, price(line.quantity * line.price));
  }
  insert("sample.lines order_id product_id product_name quantity revenue", rows);
}

void TwoSides::replace_views_by_tables() {
  const std::string live =
      "(SELECT *, toDate(order_date) AS day, toStartOfHour(order_date) AS hour FROM "
      "analytics.orders_analytics FINAL"
      " WHERE is_deleted = 0)";
  const std::string sales = live + " WHERE status NOT IN ('CANCELLED', 'REFUNDED')";
  const std::string sum = "CAST(sum(total_amount), 'Decimal(38, 2)')";
  const std::string average =
      "CAST(round(CAST(sum(total_amount), 'Decimal(38, 6)') / count(), 2), 'Decimal(38, 2)')";
  const auto table = [&](const std::string& name, const std::string& select) {
    run("DROP VIEW analytics." + name);
    run(fmt::format("CREATE TABLE analytics.{} ENGINE = MergeTree ORDER BY tuple() AS {}", name, select));
  };
  table("daily_sales_mv",
        fmt::format(
            "SELECT day AS order_date, count() AS order_count, {} AS total_revenue, {} AS avg_order_value,"
            " uniqExact(user_id) AS unique_customers FROM {} GROUP BY day",
            sum, average, sales));
  table("hourly_sales_mv",
        fmt::format(
            "SELECT hour AS order_hour, count() AS order_count, {} AS total_revenue, {} AS avg_order_value"
            " FROM {} GROUP BY hour",
            sum, average, sales));
  table(
      "order_status_mv",
      fmt::format("SELECT day AS order_date, status, count() AS order_count, {} AS total_amount FROM (SELECT"
                  " day, status, total_amount FROM {}) GROUP BY day, status",
                  sum, live));
  table(
      "user_analytics_mv",
      fmt::format("SELECT user_id, user_email, day AS order_date, count() AS order_count, {} AS total_spent,"
                  " {} AS avg_order_value FROM {} GROUP BY user_id, user_email, day",
                  sum, average, live));
  table(
      "product_ranking_mv",
      fmt::format("SELECT day AS order_date, product_id, product_name, sum(quantity) AS quantity,"
                  " CAST(sum(revenue), 'Decimal(38, 4)') AS revenue FROM sample.lines AS l JOIN {} AS o USING"
                  " (order_id) GROUP BY day, product_id, product_name",
                  live));
}

void TwoSides::load_rollups() {
  const std::string day = "toDateTime(toDate(order_date), 'UTC')";
  const std::string sale = "countIf(status NOT IN ('CANCELLED', 'REFUNDED'))";
  const std::string from = "FROM analytics.orders_analytics FINAL WHERE is_deleted = 0";
  run(
      fmt::format("INSERT INTO analytics.rollups SELECT 'hour_status', '', toStartOfHour(order_date), "
                  "status, '', 'sample', 1, count(), 0, 0,"
                  " sum(total_amount) {} GROUP BY ALL",
                  from));
  run(
      fmt::format("INSERT INTO analytics.rollups SELECT 'day_user', '', {}, user_id, '', 'sample', 1, 0, {}, "
                  "0, 0 {} GROUP BY ALL",
                  day, sale, from));
  run(
      fmt::format("INSERT INTO analytics.rollups SELECT 'user_day', user_id, {}, user_email, '', 'sample', "
                  "1, count(), {}, 0,"
                  " sum(total_amount) {} GROUP BY ALL",
                  day, sale, from));
  run(
      fmt::format("INSERT INTO analytics.rollups SELECT 'day_product', '', {}, product_id, product_name, "
                  "'sample', 1, 0, 0, sum(quantity),"
                  " sum(revenue) FROM sample.lines AS l JOIN (SELECT order_id, order_date {}) AS o USING "
                  "(order_id) GROUP BY ALL",
                  day, from));
}

}  // namespace millrace::verify
