#include "verify/decimal.h"

#include "base/assert.h"

namespace millrace::verify {
namespace {
constexpr int kDigitsMax = 38;
}

std::optional<Int128> parse_decimal(std::string_view text, int scale) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const auto point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction =
      point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if (whole.empty() || (point != std::string_view::npos && fraction.empty())) return std::nullopt;

  Int128 units = 0;
  int digits = 0;
  const auto append = [&](char c) {
    if (c < '0' || c > '9') return false;
    if (digits == 0 && c == '0') return true;
    if (++digits > kDigitsMax) return false;
    units = units * 10 + (c - '0');
    return true;
  };
  for (const char c : whole) {
    if (!append(c)) return std::nullopt;
  }
  for (int i = 0; i < scale; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (!append(at < fraction.size() ? fraction[at] : '0')) return std::nullopt;
  }
  for (std::size_t i = static_cast<std::size_t>(scale); i < fraction.size(); ++i) {
    if (fraction[i] != '0') return std::nullopt;
  }
  return negative ? -units : units;
}

std::string decimal_text(Int128 units, int scale) {
  const bool negative = units < 0;
  std::string reversed;
  for (int place = 0; units != 0 || place <= scale; ++place) {
    if (place == scale && scale > 0) reversed += '.';
    const int digit = static_cast<int>(units % 10);
    reversed += static_cast<char>('0' + (digit < 0 ? -digit : digit));
    units /= 10;
  }
  if (negative) reversed += '-';
  return {reversed.rbegin(), reversed.rend()};
}

Int128 average_half_up(Int128 sum, Int128 count) {
  MILLRACE_ASSERT(count > 0);
  const Int128 magnitude = sum < 0 ? -sum : sum;
  const Int128 quotient = magnitude / count;
  const Int128 rest = magnitude % count;
  const Int128 rounded = quotient + (rest >= count - rest ? 1 : 0);
  return sum < 0 ? -rounded : rounded;
}

}  // namespace millrace::verify
