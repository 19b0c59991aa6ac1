#include "verify/report.h"

#include <iterator>

#include <fmt/format.h>

#include "base/json.h"

namespace millrace::verify {
namespace {

std::string with_thousands(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string seconds_text(std::chrono::milliseconds span) {
  return fmt::format("{:.1f}", std::chrono::duration<double>(span).count());
}

}  // namespace

std::uint64_t VerifyReport::differences_total() const {
  std::uint64_t total = 0;
  for (const TableReport& table : tables) total += table.differences;
  return total;
}

std::uint64_t VerifyReport::in_flight_total() const {
  std::uint64_t total = 0;
  for (const TableReport& table : tables) total += table.in_flight;
  return total;
}

std::string to_table(const VerifyReport& report) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{:<20} {:>15} {:>13} {:>11} {:>9}\n", "table", "compared", "differences", "in flight",
                 "seconds");
  for (const TableReport& table : report.tables)
    fmt::format_to(out, "{:<20} {:>15} {:>13} {:>11} {:>9}\n", table.name, with_thousands(table.compared),
                   with_thousands(table.differences), with_thousands(table.in_flight),
                   seconds_text(table.spent));
  if (!report.differences.empty()) text += '\n';
  for (const Difference& difference : report.differences) {
    fmt::format_to(out, "{} {}: ", difference.table, difference.key);
    if (!difference.column.empty()) fmt::format_to(out, "{}: ", difference.column);
    fmt::format_to(out, "MySQL {}, warehouse {}\n", difference.store_value, difference.warehouse_value);
  }
  for (const TableReport& table : report.tables) {
    if (table.too_many)
      fmt::format_to(out, "{}: too many differences to check each of them again\n", table.name);
  }
  text += '\n';
  if (report.clean()) {
    text += "clean: the warehouse says what MySQL says";
    if (const auto in_flight = report.in_flight_total(); in_flight > 0)
      fmt::format_to(out, " ({} rows changed all the time and stayed within what the changes allow)",
                     with_thousands(in_flight));
  } else {
    fmt::format_to(out, "{} differences", with_thousands(report.differences_total()));
  }
  fmt::format_to(out, ", {} s\n", seconds_text(report.spent));
  return text;
}

std::string to_json(const VerifyReport& report) {
  std::string text;
  base::JsonWriter out(text);
  out.begin_object();
  out.key("clean").boolean(report.clean());
  out.key("differences").number(report.differences_total());
  out.key("inFlight").number(report.in_flight_total());
  out.key("rounds").number(std::uint64_t{report.rounds});
  out.key("milliseconds").number(std::int64_t{report.spent.count()});
  out.key("tables").begin_array();
  for (const TableReport& table : report.tables) {
    out.begin_object();
    out.key("name").string(table.name);
    out.key("compared").number(table.compared);
    out.key("differences").number(table.differences);
    out.key("inFlight").number(table.in_flight);
    out.key("tooMany").boolean(table.too_many);
    out.key("milliseconds").number(std::int64_t{table.spent.count()});
    out.end_object();
  }
  out.end_array();
  out.key("first").begin_array();
  for (const Difference& difference : report.differences) {
    out.begin_object();
    out.key("table").string(difference.table);
    out.key("key").string(difference.key);
    out.key("column");
    difference.column.empty() ? out.null() : out.string(difference.column);
    out.key("mysql").string(difference.store_value);
    out.key("warehouse").string(difference.warehouse_value);
    out.end_object();
  }
  out.end_array().end_object();
  return text;
}

}  // namespace millrace::verify
