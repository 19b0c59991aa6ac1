// UUIDs as 36-character text in lower case (RFC 9562).
#pragma once

#include <string>
#include <string_view>

#include "base/utc_time.h"

namespace millrace::base {

/// Version 7: `now` in milliseconds, then 74 random bits; ids of later milliseconds sort later. Thread-safe.
[[nodiscard]] std::string uuid_v7(UtcTime now);

/// Version 5 in the URL namespace: a pure function of `name`.
[[nodiscard]] std::string uuid_v5_url(std::string_view name);

/// 8-4-4-4-12 hexadecimal digits in either case.
[[nodiscard]] bool is_uuid(std::string_view text);

}  // namespace millrace::base
