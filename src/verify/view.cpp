#include "verify/view.h"

#include <array>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/text.h"

namespace millrace::verify {
namespace {

constexpr std::array kDailyKey = {KeyPart{"order_date", KeyKind::kDay}};
constexpr std::array kDailyMeasures = {Measure{"order_count", 0}, Measure{"total_revenue", 2},
                                       Measure{"unique_customers", 0}};

constexpr std::array kHourlyKey = {KeyPart{"order_hour", KeyKind::kHour}};
constexpr std::array kHourlyMeasures = {Measure{"order_count", 0}, Measure{"total_revenue", 2}};

constexpr std::array kStatusKey = {KeyPart{"order_date", KeyKind::kDay}, KeyPart{"status", KeyKind::kText}};
constexpr std::array kStatusMeasures = {Measure{"order_count", 0}, Measure{"total_amount", 2}};

constexpr std::array kUserKey = {KeyPart{"user_id", KeyKind::kText}, KeyPart{"user_email", KeyKind::kText},
                                 KeyPart{"order_date", KeyKind::kDay}};
constexpr std::array kUserMeasures = {Measure{"order_count", 0}, Measure{"total_spent", 2}};

constexpr std::array kProductKey = {KeyPart{"order_date", KeyKind::kDay},
                                    KeyPart{"product_id", KeyKind::kText},
                                    KeyPart{"product_name", KeyKind::kText}};
constexpr std::array kProductMeasures = {Measure{"quantity", 0}, Measure{"revenue", 4}};

constexpr std::array<View, kViews> kAllViews = {
    View{.id = ViewId::kDaily,
         .name = "daily_sales_mv",
         .key = kDailyKey,
         .day_part = 0,
         .measures = kDailyMeasures,
         .has_average = true,
         .store_select =
             "SELECT DATE_FORMAT(o.created_at, '%Y-%m-%d') AS k1, COUNT(*), SUM(o.total_amount),"
             " COUNT(DISTINCT CAST(o.user_id AS BINARY))"
             " FROM orders o WHERE o.deleted_at IS NULL AND o.status NOT IN ('CANCELLED', 'REFUNDED')",
         .store_group = " GROUP BY k1 ORDER BY k1",
         .narrow_column = {},
         .narrow_part = 0},
    View{.id = ViewId::kHourly,
         .name = "hourly_sales_mv",
         .key = kHourlyKey,
         .day_part = 0,
         .measures = kHourlyMeasures,
         .has_average = true,
         .store_select =
             "SELECT DATE_FORMAT(o.created_at, '%Y-%m-%d %H:00:00') AS k1, COUNT(*), SUM(o.total_amount)"
             " FROM orders o WHERE o.deleted_at IS NULL AND o.status NOT IN ('CANCELLED', 'REFUNDED')",
         .store_group = " GROUP BY k1 ORDER BY k1",
         .narrow_column = {},
         .narrow_part = 0},
    View{.id = ViewId::kStatus,
         .name = "order_status_mv",
         .key = kStatusKey,
         .day_part = 0,
         .measures = kStatusMeasures,
         .has_average = false,
         .store_select =
             "SELECT DATE_FORMAT(o.created_at, '%Y-%m-%d') AS k1, CAST(o.status AS BINARY) AS k2, COUNT(*),"
             " SUM(o.total_amount) FROM orders o WHERE o.deleted_at IS NULL",
         .store_group = " GROUP BY k1, k2 ORDER BY k1, k2",
         .narrow_column = {},
         .narrow_part = 0},
    View{.id = ViewId::kUser,
         .name = "user_analytics_mv",
         .key = kUserKey,
         .day_part = 2,
         .measures = kUserMeasures,
         .has_average = true,
         .store_select = "SELECT CAST(o.user_id AS BINARY) AS k1, CAST(o.user_email AS BINARY) AS k2,"
                         " DATE_FORMAT(o.created_at, '%Y-%m-%d') AS k3, COUNT(*), SUM(o.total_amount)"
                         " FROM orders o WHERE o.deleted_at IS NULL",
         .store_group = " GROUP BY k1, k2, k3 ORDER BY k1, k2, k3",
         .narrow_column = "o.user_id",
         .narrow_part = 0},
    View{.id = ViewId::kProduct,
         .name = "product_ranking_mv",
         .key = kProductKey,
         .day_part = 0,
         .measures = kProductMeasures,
         .has_average = false,
         .store_select =
             "SELECT DATE_FORMAT(o.created_at, '%Y-%m-%d') AS k1, CAST(i.product_id AS BINARY) AS k2,"
             " CAST(i.product_name AS BINARY) AS k3, SUM(i.quantity), SUM(i.quantity * i.price)"
             " FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.deleted_at IS NULL",
         .store_group = " GROUP BY k1, k2, k3 ORDER BY k1, k2, k3",
         .narrow_column = "i.product_id",
         .narrow_part = 1},
};

}  // namespace

std::span<const View, kViews> all_views() {
  return kAllViews;
}
const View& view_of(ViewId id) {
  return kAllViews[static_cast<std::size_t>(id)];
}

base::Result<ViewRow> read_view_row(const View& view, std::span<const std::optional<std::string_view>> fields,
                                    bool with_average) {
  const bool average = with_average && view.has_average;
  const std::size_t expected = view.key.size() + view.measures.size() + (average ? 1U : 0U);
  if (fields.size() != expected)
    return base::invalid(
        fmt::format("a row of {} has {} fields where {} were asked for", view.name, fields.size(), expected));
  ViewRow row;
  for (std::size_t i = 0; i < view.key.size(); ++i) row.key[i] = fields[i].value_or("");
  for (std::size_t i = 0; i < view.measures.size(); ++i) {
    const auto value = parse_decimal(fields[view.key.size() + i].value_or(""), view.measures[i].scale);
    if (!value)
      return base::invalid(fmt::format("{} {}: {} is no decimal number with at most {} decimals", view.name,
                                       key_text(view, row.key), view.measures[i].column,
                                       view.measures[i].scale));
    row.measures[i] = *value;
  }
  if (average) {
    row.average = parse_decimal(fields.back().value_or(""), 2);
    if (!row.average)
      return base::invalid(fmt::format("{} {}: avg_order_value is no decimal number with at most 2 decimals",
                                       view.name, key_text(view, row.key)));
  }
  return row;
}

Int128 average_of(const View& view, const Measures& measures) {
  MILLRACE_ASSERT(view.has_average);
  return measures[0] > 0 ? average_half_up(measures[1], measures[0]) : 0;
}

std::string key_text(const View& view, const Key& key) {
  std::string text;
  for (std::size_t i = 0; i < view.key.size(); ++i) {
    if (i > 0) text += " / ";
    text += base::printable(key[i], 120);
  }
  return text;
}

}  // namespace millrace::verify
