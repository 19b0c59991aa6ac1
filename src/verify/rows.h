// Rows as both sides hand them over, in one comparable form.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "verify/decimal.h"

namespace millrace::verify {

inline constexpr std::size_t kKeyPartsMax = 3;
inline constexpr std::size_t kMeasuresMax = 3;

/// A view's key, part by part; unused parts are empty. Dates are "2026-01-31", hours "2026-01-31 09:00:00",
/// so that the byte order is the order in time.
using Key = std::array<std::string, kKeyPartsMax>;

/// A view's measures in units of their scale; unused ones are 0.
using Measures = std::array<Int128, kMeasuresMax>;

/// One row of a view on either side.
struct ViewRow {
  Key key;
  Measures measures{};
  /// As the warehouse shows it, in cents; nothing where the view has none, or on the store's side (it is
  /// computed there).
  std::optional<Int128> average;
  bool repeated = false;  ///< The side has more than one row of this key.

  friend const Key& key_of(const ViewRow& row) { return row.key; }
};

inline constexpr std::size_t kOrderColumns = 11;
inline constexpr std::array<std::string_view, kOrderColumns> kOrderColumnNames = {
    "user_id",        "user_email",     "order_date", "total_amount", "items_count", "status",
    "payment_method", "payment_status", "version",    "is_deleted",   "deleted_at"};
inline constexpr std::size_t kOrderDateColumn = 2;
inline constexpr std::size_t kTotalColumn = 3;
inline constexpr std::size_t kVersionColumn = 8;

/// One order on either side: its columns as canonical text (totals with two decimals, times to the second),
/// so equal means equal.
struct OrderRow {
  std::string id;
  std::array<std::optional<std::string>, kOrderColumns> columns;
  std::uint64_t version = 0;
  bool may_be_purged = false;  ///< The store's side: deleted for longer than the purge period.
  bool repeated = false;       ///< The side has more than one row of this order.

  /// "2026-01-31", or empty.
  [[nodiscard]] std::string day() const;
  friend const std::string& key_of(const OrderRow& row) { return row.id; }
};

/// Reads one order's fields: the id, then the columns in the order of kOrderColumnNames. Errors: kInvalid.
[[nodiscard]] base::Result<OrderRow> read_order_row(std::span<const std::optional<std::string_view>> fields);

}  // namespace millrace::verify
