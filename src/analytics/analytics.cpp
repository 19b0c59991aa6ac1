#include "analytics/analytics.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "base/tsv.h"

namespace millrace::analytics {
namespace {

using std::chrono::days;
using std::chrono::sys_days;

// The range that both Date and DateTime of the warehouse can hold: DateTime ends on 2106-02-07 (32 bits of
// seconds).
constexpr sys_days kFirstDay = sys_days(days(0));
constexpr sys_days kLastDay = std::chrono::year(2106) / 2 / 6;

/// In back-ticks, so that any configured name is one identifier.
std::string quoted(std::string_view identifier) {
  std::string out = "`";
  for (const char c : identifier) {
    if (c == '`' || c == '\\') out += '\\';
    out += c;
  }
  return out + '`';
}

base::Error broken(std::string_view what) {
  return {base::ErrorKind::kFatal, fmt::format("the warehouse's answer has an unexpected {}", what), 0};
}

/// Reads the columns of one row, left to right.
class Columns {
 public:
  explicit Columns(base::TsvFields fields) : rest_(fields) {}

  std::string_view text() {
    if (rest_.empty() || !rest_.front()) {
      is_right_ = false;
      return {};
    }
    const std::string_view column = *rest_.front();
    rest_ = rest_.subspan(1);
    return column;
  }
  template <std::integral Number>
  Number number() {
    const auto value = base::parse_int<Number>(text());
    is_right_ = is_right_ && value.has_value();
    return value.value_or(0);
  }
  domain::Money money() {
    const auto value = domain::Money::parse(text());
    is_right_ = is_right_ && value.has_value();
    return value.value_or(domain::Money());
  }
  sys_days date() {
    const auto value = base::parse_date(text());
    is_right_ = is_right_ && value.has_value();
    return value.value_or(sys_days());
  }
  /// All columns were what they had to be, and there are no more.
  [[nodiscard]] bool complete() const { return is_right_ && rest_.empty(); }

 private:
  base::TsvFields rest_;
  bool is_right_ = true;
};

template <class Row, class Read>
base::Result<std::vector<Row>> rows_of(std::string_view answer, Read read) {
  std::vector<Row> rows;
  MILLRACE_TRY(base::read_tsv(answer, [&](base::TsvFields fields) -> base::Result<void> {
    Columns columns(fields);
    rows.push_back(read(columns));
    if (!columns.complete()) return std::unexpected(broken("row"));
    return {};
  }));
  return rows;
}

/// A question of ours that can never succeed means that the tables are not there yet, or a mistake of ours:
/// never the asker's fault.
base::Error explained(base::Error error) {
  constexpr int kUnknownTable = 60;     // ClickHouse ErrorCodes.cpp: UNKNOWN_TABLE
  constexpr int kUnknownDatabase = 81;  // UNKNOWN_DATABASE
  if (error.kind != base::ErrorKind::kRejected && error.kind != base::ErrorKind::kInvalid) return error;
  if (error.vendor_code == kUnknownTable || error.vendor_code == kUnknownDatabase)
    return {base::ErrorKind::kUnavailable, "the warehouse has no tables yet: " + error.message,
            error.vendor_code};
  return {base::ErrorKind::kFatal, std::move(error.message), error.vendor_code};
}

}  // namespace

domain::Money average(domain::Money revenue, std::uint64_t orders) {
  if (orders == 0) return {};
  const std::int64_t cents = revenue.rounded_to_cents().units() / 100;
  const auto magnitude = static_cast<std::uint64_t>(cents < 0 ? -cents : cents);
  const std::uint64_t rest = magnitude % orders;
  const auto rounded = static_cast<std::int64_t>(magnitude / orders + (rest >= orders - rest ? 1 : 0));
  return domain::Money::from_cents(cents < 0 ? -rounded : rounded);
}

Analytics::Analytics(ports::Warehouse& warehouse, Options options) : warehouse_(warehouse) {
  const std::string database = quoted(options.database);
  daily_sales_statement_ = fmt::format(
      "SELECT order_date, order_count, total_revenue, avg_order_value, unique_customers FROM "
      "{}.daily_sales_mv "
      "WHERE order_date >= {{first:Date}} AND order_date <= {{last:Date}} ORDER BY order_date DESC LIMIT "
      "{{limit:UInt32}}",
      database);
  hourly_sales_statement_ = fmt::format(
      "SELECT toUnixTimestamp(order_hour), order_count, total_revenue, avg_order_value FROM "
      "{}.hourly_sales_mv "
      "WHERE order_hour >= toDateTime({{first:Date}}, 'UTC') AND order_hour < toDateTime({{last:Date}} + 1, "
      "'UTC') "
      "ORDER BY order_hour DESC LIMIT {{limit:UInt32}}",
      database);
  order_status_statement_ = fmt::format(
      "SELECT order_date, status, order_count, total_amount FROM {}.order_status_mv "
      "WHERE order_date >= {{first:Date}} AND order_date <= {{last:Date}} ORDER BY order_date DESC, status "
      "LIMIT {{limit:UInt32}}",
      database);
  // The hours sum up to the same as the days, and cost less to read: they need no customers.
  stats_statement_ = fmt::format(
      "SELECT orders, revenue, customers FROM "
      "(SELECT sum(order_count) AS orders, sum(total_revenue) AS revenue FROM {0}.hourly_sales_mv) AS sales "
      "CROSS JOIN "
      "(SELECT count() AS customers FROM {0}.customers_mv) AS people",
      database);
}

base::Result<std::string> Analytics::ask(const std::string& statement, const SalesRange& range,
                                         base::Deadline deadline) {
  const auto day = [](std::optional<sys_days> asked, sys_days otherwise) {
    return base::to_date(std::clamp(asked.value_or(otherwise), kFirstDay, kLastDay));
  };
  const std::array<ports::QueryParameter, 3> parameters{
      ports::QueryParameter{"first", day(range.first_day, kFirstDay)},
      ports::QueryParameter{"last", day(range.last_day, kLastDay)},
      ports::QueryParameter{"limit", std::to_string(range.rows_max)},
  };
  auto answer = warehouse_.query(statement, "TabSeparated", parameters, deadline);
  if (!answer) return std::unexpected(explained(std::move(answer).error()));
  return answer;
}

base::Result<std::vector<DailySales>> Analytics::daily_sales(const SalesRange& range,
                                                             base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string answer, ask(daily_sales_statement_, range, deadline));
  return rows_of<DailySales>(answer, [](Columns& columns) {
    DailySales row;
    row.order_date = columns.date();
    row.order_count = columns.number<std::uint64_t>();
    row.total_revenue = columns.money();
    row.avg_order_value = columns.money();
    row.unique_customers = columns.number<std::uint64_t>();
    return row;
  });
}

base::Result<std::vector<HourlySales>> Analytics::hourly_sales(const SalesRange& range,
                                                               base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string answer, ask(hourly_sales_statement_, range, deadline));
  return rows_of<HourlySales>(answer, [](Columns& columns) {
    HourlySales row;
    row.order_hour = base::utc_from_ms(columns.number<std::int64_t>() * 1000);
    row.order_count = columns.number<std::uint64_t>();
    row.total_revenue = columns.money();
    row.avg_order_value = columns.money();
    return row;
  });
}

base::Result<std::vector<StatusCount>> Analytics::order_status(const SalesRange& range,
                                                               base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string answer, ask(order_status_statement_, range, deadline));
  return rows_of<StatusCount>(answer, [](Columns& columns) {
    StatusCount row;
    row.order_date = columns.date();
    row.status = columns.text();
    row.order_count = columns.number<std::uint64_t>();
    row.total_amount = columns.money();
    return row;
  });
}

base::Result<Stats> Analytics::stats(base::Deadline deadline) {
  auto answer = warehouse_.query(stats_statement_, "TabSeparated", {}, deadline);
  if (!answer) return std::unexpected(explained(std::move(answer).error()));
  MILLRACE_TRY_ASSIGN(const std::vector<Stats> rows, rows_of<Stats>(*answer, [](Columns& columns) {
                        Stats row;
                        row.total_orders = columns.number<std::uint64_t>();
                        row.total_revenue = columns.money();
                        row.unique_customers = columns.number<std::uint64_t>();
                        row.avg_order_value = average(row.total_revenue, row.total_orders);
                        return row;
                      }));
  if (rows.size() != 1) return std::unexpected(broken("number of rows"));
  return rows.front();
}

base::Result<void> Analytics::health(base::Deadline deadline) {
  const auto answer = warehouse_.query("SELECT 1", "TabSeparated", {}, deadline);
  if (!answer) return std::unexpected(answer.error());
  return {};
}

}  // namespace millrace::analytics
