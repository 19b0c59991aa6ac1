// Exact decimal money.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::domain {

/// An amount in ten-thousandths of the currency unit: exact for unit prices (4 decimals) and totals (2
/// decimals). The database columns hold at most DECIMAL(14,2) and DECIMAL(14,4), far inside the range of 64
/// bits.
class Money {
 public:
  static constexpr std::int64_t kUnitsPerWhole = 10'000;

  constexpr Money() = default;
  [[nodiscard]] static constexpr Money from_units(std::int64_t ten_thousandths) {
    return Money(ten_thousandths);
  }
  [[nodiscard]] static constexpr Money from_cents(std::int64_t cents) { return Money(cents * 100); }

  /// Reads "12", "-0.5", "1299.99", "0.0125". Errors: kInvalid (not a number, more than 4 decimals, out of
  /// range).
  [[nodiscard]] static base::Result<Money> parse(std::string_view text);

  /// The nearest amount to a number that came as binary floating point. Errors: kInvalid (not finite, more
  /// than `decimals_max` decimals, magnitude of 10^10 or more, where the nearest amount would no longer be
  /// certain).
  [[nodiscard]] static base::Result<Money> from_double(double value, int decimals_max);

  [[nodiscard]] constexpr std::int64_t units() const { return units_; }
  [[nodiscard]] constexpr bool has_only_cents() const { return units_ % 100 == 0; }

  /// Half a cent goes away from zero.
  [[nodiscard]] Money rounded_to_cents() const;

  /// "1299.99"; rounds like rounded_to_cents.
  [[nodiscard]] std::string text2() const;
  /// "1299.9900".
  [[nodiscard]] std::string text4() const;

  friend constexpr auto operator<=>(Money, Money) = default;
  constexpr Money& operator+=(Money other) {
    units_ += other.units_;
    return *this;
  }
  constexpr Money& operator-=(Money other) {
    units_ -= other.units_;
    return *this;
  }
  friend constexpr Money operator+(Money a, Money b) { return Money(a.units_ + b.units_); }
  friend constexpr Money operator-(Money a, Money b) { return Money(a.units_ - b.units_); }
  friend constexpr Money operator-(Money a) { return Money(-a.units_); }
  friend constexpr Money operator*(Money price, std::int64_t quantity) {
    return Money(price.units_ * quantity);
  }

 private:
  explicit constexpr Money(std::int64_t units) : units_(units) {}
  std::int64_t units_ = 0;
};

}  // namespace millrace::domain
