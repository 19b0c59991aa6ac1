#include "base/utc_time.h"

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::base {
namespace {

struct Parts {
  int year, month, day, hour, minute, second, ms;
};

Parts split(UtcTime time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  return {int(date.year()),
          int(unsigned(date.month())),
          int(unsigned(date.day())),
          int(clock.hours().count()),
          int(clock.minutes().count()),
          int(clock.seconds().count()),
          int(clock.subseconds().count())};
}

std::unexpected<Error> bad_time(std::string_view text) {
  return invalid(fmt::format("'{}' is not a time; write it like 2026-01-31T09:05:00Z", printable(text, 40)));
}

/// Takes exactly `digits` digits off the front.
bool take(std::string_view& rest, std::size_t digits, int& value) {
  if (rest.size() < digits) return false;
  const auto number = parse_int<int>(rest.substr(0, digits));
  if (!number || rest[0] == '-' || rest[0] == '+') return false;
  value = *number;
  rest.remove_prefix(digits);
  return true;
}

bool take(std::string_view& rest, char c) {
  if (rest.empty() || rest[0] != c) return false;
  rest.remove_prefix(1);
  return true;
}

bool take_date(std::string_view& rest, std::chrono::sys_days& day) {
  using namespace std::chrono;
  int y = 0;
  int m = 0;
  int d = 0;
  if (!take(rest, 4, y) || !take(rest, '-') || !take(rest, 2, m) || !take(rest, '-') || !take(rest, 2, d))
    return false;
  const year_month_day date(year(y), month(static_cast<unsigned>(m)),
                            std::chrono::day(static_cast<unsigned>(d)));
  if (!date.ok()) return false;
  day = sys_days(date);
  return true;
}

}  // namespace

std::string to_iso8601(UtcTime time) {
  const Parts p = split(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", p.year, p.month, p.day, p.hour, p.minute,
                     p.second, p.ms);
}

std::string to_sql(UtcTime time) {
  const Parts p = split(time);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}", p.year, p.month, p.day, p.hour, p.minute,
                     p.second, p.ms);
}

std::string to_date(std::chrono::sys_days day) {
  const Parts p = split(UtcTime(day));
  return fmt::format("{:04}-{:02}-{:02}", p.year, p.month, p.day);
}

Result<UtcTime> parse_utc(std::string_view text) {
  using namespace std::chrono;
  std::string_view rest = text;
  sys_days day;
  int h = 0;
  int m = 0;
  int s = 0;
  if (!take_date(rest, day)) return bad_time(text);
  if (!take(rest, 'T') && !take(rest, ' ')) return bad_time(text);
  if (!take(rest, 2, h) || !take(rest, ':') || !take(rest, 2, m) || !take(rest, ':') || !take(rest, 2, s))
    return bad_time(text);
  if (h > 23 || m > 59 || s > 59) return bad_time(text);
  int fraction_ms = 0;
  if (take(rest, '.')) {
    int scale = 100;
    std::size_t digits = 0;
    for (; digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9'; ++digits) {
      fraction_ms += (rest[digits] - '0') * scale;
      scale /= 10;
    }
    if (digits == 0 || digits > 9) return bad_time(text);
    rest.remove_prefix(digits);
  }
  minutes offset(0);
  if (!take(rest, 'Z') && !rest.empty()) {
    const bool east = rest[0] == '+';
    if (!east && rest[0] != '-') return bad_time(text);
    rest.remove_prefix(1);
    int oh = 0;
    int om = 0;
    if (!take(rest, 2, oh) || !take(rest, ':') || !take(rest, 2, om) || oh > 23 || om > 59)
      return bad_time(text);
    offset = hours(oh) + minutes(om);
    if (!east) offset = -offset;
  }
  if (!rest.empty()) return bad_time(text);
  return UtcTime(day) + hours(h) + minutes(m) + seconds(s) + milliseconds(fraction_ms) - offset;
}

Result<std::chrono::sys_days> parse_date(std::string_view text) {
  std::string_view rest = text;
  std::chrono::sys_days day;
  if (!take_date(rest, day) || !rest.empty())
    return invalid(fmt::format("'{}' is not a date; write it like 2026-01-31", printable(text, 40)));
  return day;
}

}  // namespace millrace::base
