#include "domain/money.h"

#include <cmath>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::domain {
namespace {

std::uint64_t magnitude(std::int64_t value) {
  return value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
}

}  // namespace

base::Result<Money> Money::parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return base::invalid(fmt::format("'{}' is not an amount of money: {}", base::printable(text, 40), why));
  };
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest[0] == '-';
  if (negative) rest.remove_prefix(1);
  const std::size_t point = rest.find('.');
  const std::string_view whole_text = rest.substr(0, point);
  std::string_view fraction_text =
      point == std::string_view::npos ? std::string_view() : rest.substr(point + 1);
  const auto digits_only = [](std::string_view t) {
    return t.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (whole_text.empty() || !digits_only(whole_text) || !digits_only(fraction_text) ||
      (point != std::string_view::npos && fraction_text.empty()))
    return bad("write digits, with a point before the decimals");
  while (fraction_text.size() > 4 && fraction_text.back() == '0') fraction_text.remove_suffix(1);
  if (fraction_text.size() > 4) return bad("at most 4 decimals");
  const auto whole = base::parse_int<std::int64_t>(whole_text);
  if (!whole || *whole > 99'999'999'999'999) return bad("too large");
  std::int64_t fraction = 0;
  for (std::size_t i = 0; i < 4; ++i)
    fraction = fraction * 10 + (i < fraction_text.size() ? fraction_text[i] - '0' : 0);
  const std::int64_t units = *whole * kUnitsPerWhole + fraction;
  return from_units(negative ? -units : units);
}

base::Result<Money> Money::from_double(double value, int decimals_max) {
  constexpr double kCertainBelow = 1e10;
  if (!std::isfinite(value) || std::abs(value) >= kCertainBelow)
    return base::invalid("the amount is too large");
  const double scaled = value * static_cast<double>(kUnitsPerWhole);
  const double nearest = std::round(scaled);
  // The error of a binary double of this size, times the scale, with room for a parser that is off by a few
  // last bits.
  if (std::abs(scaled - nearest) > 1e-3 + std::abs(scaled) * 1e-15)
    return base::invalid(fmt::format("the amount has more than {} decimals", decimals_max));
  const auto money = from_units(static_cast<std::int64_t>(nearest));
  if (decimals_max < 4 && !money.has_only_cents())
    return base::invalid(fmt::format("the amount has more than {} decimals", decimals_max));
  return money;
}

Money Money::rounded_to_cents() const {
  const std::int64_t half = units_ < 0 ? -50 : 50;
  return from_units((units_ + half) / 100 * 100);
}

std::string Money::text2() const {
  const Money cents = rounded_to_cents();
  const std::uint64_t size = magnitude(cents.units_) / 100;
  return fmt::format("{}{}.{:02}", cents.units_ < 0 ? "-" : "", size / 100, size % 100);
}

std::string Money::text4() const {
  const std::uint64_t size = magnitude(units_);
  return fmt::format("{}{}.{:04}", units_ < 0 ? "-" : "", size / 10'000, size % 10'000);
}

}  // namespace millrace::domain
