// Exact decimal arithmetic on 128-bit integers, of this room's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::verify {

/// Wide enough for every sum that a Decimal(38, s) column can hold.
__extension__ using Int128 = __int128;

/// Reads "-12.5" as a number of 10^-scale units. Nothing: not a decimal number, more than `scale` decimals
/// that are not 0, or more than 38 digits.
[[nodiscard]] std::optional<Int128> parse_decimal(std::string_view text, int scale);

/// The inverse: always `scale` decimals.
[[nodiscard]] std::string decimal_text(Int128 units, int scale);

/// sum ÷ count in the units of the sum; a half goes away from zero. `count` must be above 0.
[[nodiscard]] Int128 average_half_up(Int128 sum, Int128 count);

}  // namespace millrace::verify
