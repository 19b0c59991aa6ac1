// Moments in UTC with millisecond precision, and their text forms.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::base {

/// Milliseconds since 1970-01-01T00:00:00Z.
using UtcTime = std::chrono::sys_time<std::chrono::milliseconds>;

[[nodiscard]] constexpr UtcTime utc_from_ms(std::int64_t ms) {
  return UtcTime(std::chrono::milliseconds(ms));
}
[[nodiscard]] inline std::int64_t to_ms(UtcTime time) {
  return time.time_since_epoch().count();
}
/// Whole seconds since 1970, rounded down.
[[nodiscard]] inline std::int64_t to_seconds(UtcTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

/// "2026-01-31T09:05:00.123Z".
[[nodiscard]] std::string to_iso8601(UtcTime time);

/// "2026-01-31 09:05:00.123", the form SQL servers read and write.
[[nodiscard]] std::string to_sql(UtcTime time);

/// "2026-01-31".
[[nodiscard]] std::string to_date(std::chrono::sys_days day);

/// Reads "2026-01-31T09:05:00Z", also with a fraction of up to 9 digits (cut to ms), a space for the T, an
/// offset such as +02:00 for the Z, or none of both (then UTC). Errors: kInvalid.
[[nodiscard]] Result<UtcTime> parse_utc(std::string_view text);

/// Reads "2026-01-31". Errors: kInvalid.
[[nodiscard]] Result<std::chrono::sys_days> parse_date(std::string_view text);

}  // namespace millrace::base
