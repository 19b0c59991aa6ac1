#include "verify/store_change.h"

#include <cmath>

#include <fmt/format.h>

#include "base/json.h"
#include "base/text.h"
#include "base/utc_time.h"

namespace millrace::verify {
namespace {

namespace json = boost::json;

/// A JSON number as units of 10^-scale. Doubles hold every amount that the columns can (fewer than 15 digits)
/// to the nearest unit.
base::Result<Int128> amount_member(const json::object& object, std::string_view name, int scale) {
  const json::value* value = base::find_member(object, name);
  std::int64_t factor = 1;
  for (int i = 0; i < scale; ++i) factor *= 10;
  if (value != nullptr && value->is_int64()) return Int128{value->get_int64()} * factor;
  if (value != nullptr && value->is_double() && std::abs(value->get_double()) < 1e12)
    return Int128{std::llround(value->get_double() * static_cast<double>(factor))};
  return base::invalid(fmt::format("'{}' must be an amount", name));
}

base::Result<std::string> text_member(const json::object& object, std::string_view name) {
  MILLRACE_TRY_ASSIGN(const std::string_view text, base::string_member(object, name));
  return std::string(text);
}

base::Result<Image> read_image(const json::value& value) {
  if (!value.is_object()) return base::invalid("an image must be an object");
  const json::object& object = value.get_object();
  Image image;
  MILLRACE_TRY_ASSIGN(image.user_id, text_member(object, "userId"));
  MILLRACE_TRY_ASSIGN(image.user_email, text_member(object, "userEmail"));
  MILLRACE_TRY_ASSIGN(image.status, text_member(object, "status"));
  MILLRACE_TRY_ASSIGN(image.total_amount, amount_member(object, "totalAmount", 2));
  MILLRACE_TRY_ASSIGN(const std::string_view created_at, base::string_member(object, "createdAt"));
  MILLRACE_TRY_ASSIGN(const base::UtcTime moment, base::parse_utc(created_at));
  image.created_at = base::to_sql(moment);
  const json::value* items = base::find_member(object, "items");
  if (items == nullptr || !items->is_array()) return base::invalid("'items' must be an array");
  for (const json::value& item : items->get_array()) {
    if (!item.is_object()) return base::invalid("'items' must hold objects");
    const json::object& fields = item.get_object();
    ImageLine line;
    MILLRACE_TRY_ASSIGN(line.product_id, text_member(fields, "productId"));
    MILLRACE_TRY_ASSIGN(line.product_name, text_member(fields, "productName"));
    MILLRACE_TRY_ASSIGN(line.quantity, base::int_member(fields, "quantity"));
    MILLRACE_TRY_ASSIGN(const Int128 price, amount_member(fields, "price", 4));
    line.revenue = line.quantity * price;
    image.lines.push_back(std::move(line));
  }
  return image;
}

}  // namespace

base::Result<Change> read_change(std::string_view order_id, std::string_view payload) {
  MILLRACE_TRY_ASSIGN(const json::value document, base::parse_json(payload));
  if (!document.is_object()) return base::invalid("the payload must be a JSON object");
  const json::object& object = document.get_object();
  Change change{.order_id = std::string(order_id), .before = std::nullopt, .after = std::nullopt};
  if (const json::value* before = base::find_member(object, "before")) {
    MILLRACE_TRY_ASSIGN(change.before, read_image(*before));
  }
  if (const json::value* after = base::find_member(object, "after")) {
    MILLRACE_TRY_ASSIGN(change.after, read_image(*after));
  }
  if (!change.before && !change.after)
    return base::invalid(fmt::format("the event of order {} has no image", base::printable(order_id, 80)));
  return change;
}

}  // namespace millrace::verify
