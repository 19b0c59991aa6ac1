// The five views: what their keys and measures are, how the store computes them, and how the warehouse shows
// them.
#pragma once

#include <span>
#include <string_view>

#include "verify/rows.h"

namespace millrace::verify {

enum class ViewId { kDaily, kHourly, kStatus, kUser, kProduct };
inline constexpr std::size_t kViews = 5;

enum class KeyKind { kDay, kHour, kText };

struct KeyPart {
  std::string_view column;
  KeyKind kind = KeyKind::kText;
};

struct Measure {
  std::string_view column;
  int scale = 0;
};

struct View {
  ViewId id;
  std::string_view name;  ///< Without the database.
  std::span<const KeyPart> key;
  std::size_t day_part;  ///< The part of the key that holds the day or hour.
  /// The first is the one that must be above 0 for the key to exist; the second is what is averaged over the
  /// first.
  std::span<const Measure> measures;
  bool has_average;  ///< Column avg_order_value, in cents.
  /// The store's SELECT: before and after further conditions. Its columns are the key, then the measures.
  /// Rows come by key in byte order: texts are cast to BINARY, because the collations of e-mails and names
  /// ignore case and trailing blanks.
  std::string_view store_select;
  std::string_view store_group;
  /// The store's column that narrows a recheck to some texts, and the part of the key it stands for; empty:
  /// none.
  std::string_view narrow_column;
  std::size_t narrow_part;
};

/// In the order of ViewId.
[[nodiscard]] std::span<const View, kViews> all_views();
[[nodiscard]] const View& view_of(ViewId id);

/// "2026-01-31".
[[nodiscard]] inline std::string_view day_of(const View& view, const Key& key) {
  return std::string_view(key[view.day_part]).substr(0, 10);
}

/// Reads the key and the measures, and the average after them when `with_average` and the view has one.
/// Errors: kInvalid.
[[nodiscard]] base::Result<ViewRow> read_view_row(const View& view,
                                                  std::span<const std::optional<std::string_view>> fields,
                                                  bool with_average);

/// avg_order_value as it must be for these measures, in cents.
[[nodiscard]] Int128 average_of(const View& view, const Measures& measures);

/// "2026-01-31 / user-1 / a@example.com", safe to print.
[[nodiscard]] std::string key_text(const View& view, const Key& key);

}  // namespace millrace::verify
