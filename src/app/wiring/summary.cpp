#include "app/wiring/summary.h"

#include <iterator>

#include <fmt/format.h>

namespace millrace::app {
namespace {

constexpr std::string_view kClearScreen = "\x1b[H\x1b[2J";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kPlain = "\x1b[0m";

/// "1,234,567".
std::string grouped(std::string digits) {
  const auto point = digits.find('.');
  for (auto at = static_cast<std::ptrdiff_t>(point == std::string::npos ? digits.size() : point) - 3; at > 0;
       at -= 3)
    if (digits[static_cast<std::size_t>(at) - 1] != '-') digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

std::string number(std::uint64_t value) {
  return grouped(std::to_string(value));
}

}  // namespace

std::string to_screen(const Snapshot& snapshot) {
  std::string text(kClearScreen);
  const auto out = std::back_inserter(text);
  const auto seconds = snapshot.uptime.count();
  fmt::format_to(out, "{}Millrace{}  running for {}:{:02}:{:02}   Ctrl-C stops\n\n", kBold, kPlain,
                 seconds / 3600, seconds / 60 % 60, seconds % 60);
  for (const auto& [name, value] : snapshot.addresses) fmt::format_to(out, "  {:<20}{}\n", name, value);
  for (const std::string& note : snapshot.notes) fmt::format_to(out, "  {}\n", note);
  text += '\n';
  if (snapshot.stats) {
    fmt::format_to(out, "  {}{:<20}{}{}\n", kBold, "orders", number(snapshot.stats->total_orders), kPlain);
    fmt::format_to(out, "  {}{:<20}{}{}\n", kBold, "revenue", grouped(snapshot.stats->total_revenue.text2()),
                   kPlain);
    fmt::format_to(out, "  {:<20}{}\n", "average order", grouped(snapshot.stats->avg_order_value.text2()));
    fmt::format_to(out, "  {:<20}{}\n", "customers", number(snapshot.stats->unique_customers));
  } else {
    fmt::format_to(out, "  the warehouse does not answer\n\n\n\n");
  }
  text += '\n';
  fmt::format_to(out, "  {:<20}{} ms from commit to visible\n", "freshness", snapshot.freshness_ms);
  if (snapshot.lag) {
    fmt::format_to(out, "  {:<20}{} in the outbox, {} to transform, {} to load\n", "lag",
                   number(snapshot.lag->outbox_rows), number(snapshot.lag->events),
                   number(snapshot.lag->rows));
  } else {
    fmt::format_to(out, "  {:<20}not known: a store does not answer\n", "lag");
  }
  fmt::format_to(out, "  {:<20}{:.1f}/s, {} since the start\n", "rows loaded", snapshot.rows_per_second,
                 number(snapshot.rows_loaded));
  fmt::format_to(out, "  {:<20}{} dropped repeats, {} dead letters, {} parked\n", "exceptions",
                 number(snapshot.repeats_dropped), number(snapshot.dead_letters),
                 snapshot.lag ? number(snapshot.lag->parked) : "?");
  if (snapshot.verified && snapshot.verified->differences > 0)
    fmt::format_to(out, "  {}{:<20}{} rows differ from the order store (found {}){}\n", kBold, "verify",
                   number(snapshot.verified->differences), base::to_iso8601(snapshot.verified->at), kPlain);
  text += '\n';
  for (const auto& [name, value] : snapshot.servers)
    fmt::format_to(out, "  {}{:<20}{}{}\n", kDim, name, value, kPlain);
  return text;
}

std::string to_line(const Snapshot& snapshot) {
  const std::string orders = snapshot.stats
                                 ? fmt::format("{} orders, revenue {}", number(snapshot.stats->total_orders),
                                               grouped(snapshot.stats->total_revenue.text2()))
                                 : "the warehouse does not answer";
  const std::string lag = snapshot.lag ? fmt::format("lag {} + {} + {}", snapshot.lag->outbox_rows,
                                                     snapshot.lag->events, snapshot.lag->rows)
                                       : "lag not known: a store does not answer";
  const std::string verify =
      snapshot.verified && snapshot.verified->differences > 0
          ? fmt::format("; verify found {} differences", snapshot.verified->differences)
          : "";
  return fmt::format("{}; freshness {} ms; {}; {:.1f} rows/s{}", orders, snapshot.freshness_ms, lag,
                     snapshot.rows_per_second, verify);
}

}  // namespace millrace::app
