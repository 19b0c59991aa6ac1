#include "domain/analytics_row.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/json_arena.h"
#include "domain/json_fields.h"

namespace millrace::domain {
namespace {

namespace json = boost::json;

void write_image_members(base::JsonWriter& out, const AnalyticsImage& image) {
  out.key("user_id").string(image.user_id.value());
  out.key("user_email").string(image.user_email);
  out.key("order_date").number(base::to_seconds(image.order_date));
  out.key("total_amount").raw(image.total_amount.text2());
  out.key("items_count").number(image.items_count);
  out.key("status").string(to_string(image.status));
  out.key("payment_method").string(to_string(image.payment_method));
  out.key("payment_status").string(to_string(image.payment_status));
  out.key("items").begin_array();
  for (const AnalyticsItem& item : image.items) {
    out.begin_object();
    out.key("product_id").string(item.product_id.value());
    out.key("product_name").string(item.product_name);
    out.key("quantity").number(item.quantity);
    out.key("revenue").raw(item.revenue.text4());
    out.end_object();
  }
  out.end_array();
}

/// Whole seconds.
base::Result<base::UtcTime> warehouse_time_member(const json::object& object, std::string_view name) {
  MILLRACE_TRY_ASSIGN(const std::int64_t seconds, base::int_member(object, name));
  if (seconds < base::to_seconds(kWarehouseTimeFirst) || seconds > base::to_seconds(kWarehouseTimeLast))
    return base::invalid(fmt::format("'{}' is outside of what the warehouse can hold (1970 to 2106)", name));
  return base::utc_from_ms(seconds * 1000);
}

/// Milliseconds; only for measuring, so any clock that is near ours will do.
base::Result<base::UtcTime> stage_time_member(const json::object& object, std::string_view name) {
  MILLRACE_TRY_ASSIGN(const std::int64_t ms, base::int_member(object, name));
  if (ms < 0 || ms > base::to_ms(kWarehouseTimeLast))
    return base::invalid(fmt::format("'{}' is no time of 1970 to 2106", name));
  return base::utc_from_ms(ms);
}

base::Result<AnalyticsImage> read_image(const json::object& object) {
  AnalyticsImage image;
  MILLRACE_TRY_ASSIGN(std::string user_id, id_member(object, "user_id"));
  image.user_id = UserId(std::move(user_id));
  MILLRACE_TRY_ASSIGN(image.user_email, name_member(object, "user_email"));
  MILLRACE_TRY_ASSIGN(image.order_date, warehouse_time_member(object, "order_date"));
  MILLRACE_TRY_ASSIGN(image.total_amount, money_member(object, "total_amount", 2));
  MILLRACE_TRY_ASSIGN(image.items_count, base::int_member(object, "items_count"));
  if (image.items_count < 0 || image.items_count > kItemsCountMax)
    return base::invalid("'items_count' is out of range");
  MILLRACE_TRY_ASSIGN(const std::string_view status, base::string_member(object, "status"));
  MILLRACE_TRY_ASSIGN(image.status, parse_order_status(status));
  MILLRACE_TRY_ASSIGN(const std::string_view method, base::string_member(object, "payment_method"));
  MILLRACE_TRY_ASSIGN(image.payment_method, parse_payment_method(method));
  MILLRACE_TRY_ASSIGN(const std::string_view payment, base::string_member(object, "payment_status"));
  MILLRACE_TRY_ASSIGN(image.payment_status, parse_payment_status(payment));
  MILLRACE_TRY_ASSIGN(const json::array* const items, array_member(object, "items"));
  image.items.reserve(items->size());
  for (const json::value& entry : *items) {
    if (!entry.is_object()) return base::invalid("'items' must hold objects");
    const json::object& fields = entry.get_object();
    AnalyticsItem item;
    MILLRACE_TRY_ASSIGN(std::string product_id, id_member(fields, "product_id"));
    item.product_id = ProductId(std::move(product_id));
    MILLRACE_TRY_ASSIGN(item.product_name, name_member(fields, "product_name"));
    MILLRACE_TRY_ASSIGN(item.quantity, base::int_member(fields, "quantity"));
    if (item.quantity < 0 || item.quantity > kLineQuantityMax)
      return base::invalid("'quantity' is out of range");
    MILLRACE_TRY_ASSIGN(item.revenue, money_member(fields, "revenue", 4));
    image.items.push_back(std::move(item));
  }
  return image;
}

/// Ids of the outbox are BIGINT UNSIGNED.
base::Result<EventId> event_id_member(const json::object& object) {
  const json::value* value = base::find_member(object, "event_id");
  if (value != nullptr && value->is_uint64()) return EventId(value->get_uint64());  // 2^63 and above
  if (value != nullptr && value->is_int64() && value->get_int64() >= 0)
    return EventId(static_cast<std::uint64_t>(value->get_int64()));
  return base::invalid("'event_id' must be a whole number of at least 0");
}

base::Result<AnalyticsRow> read_row(std::string_view text) {
  base::JsonArena arena;
  MILLRACE_TRY_ASSIGN(const json::value document, base::parse_json(text, arena));
  if (!document.is_object()) return base::invalid("the row must be a JSON object");
  const json::object& object = document.get_object();
  AnalyticsRow row;
  MILLRACE_TRY_ASSIGN(row.event_id, event_id_member(object));
  MILLRACE_TRY_ASSIGN(std::string order_id, id_member(object, "order_id"));
  row.order_id = OrderId(std::move(order_id));
  MILLRACE_TRY_ASSIGN(const std::string_view type, base::string_member(object, "event_type"));
  if (type == analytics_event_type(OrderEventType::kCreated)) {
    row.type = OrderEventType::kCreated;
  } else if (type == analytics_event_type(OrderEventType::kStatusChanged)) {
    row.type = OrderEventType::kStatusChanged;
  } else if (type == analytics_event_type(OrderEventType::kDeleted)) {
    row.type = OrderEventType::kDeleted;
  } else {
    return base::invalid(fmt::format("unknown event_type '{}'", type.substr(0, 40)));
  }
  MILLRACE_TRY_ASSIGN(const std::int64_t version, base::int_member(object, "version"));
  if (version <= 0) return base::invalid("'version' must be above 0");
  row.version = static_cast<std::uint64_t>(version);
  MILLRACE_TRY_ASSIGN(row.current, read_image(object));
  if (row.type != OrderEventType::kCreated) {
    MILLRACE_TRY_ASSIGN(const json::object* const before, object_member(object, "before"));
    MILLRACE_TRY_ASSIGN(row.before, read_image(*before));
  }
  if (row.is_deleted()) {
    MILLRACE_TRY_ASSIGN(row.deleted_at, warehouse_time_member(object, "deleted_at"));
  }
  if (const json::value* trace = base::find_member(object, "traceparent");
      trace != nullptr && trace->is_string())
    row.traceparent = std::string_view(trace->get_string());
  MILLRACE_TRY_ASSIGN(row.occurred_at, stage_time_member(object, "occurred_at_ms"));
  MILLRACE_TRY_ASSIGN(row.relayed_at, stage_time_member(object, "relayed_at_ms"));
  MILLRACE_TRY_ASSIGN(row.transformed_at, stage_time_member(object, "transformed_at_ms"));
  return row;
}

}  // namespace

AnalyticsImage analytics_image_of(const OrderImage& order) {
  AnalyticsImage image;
  image.user_id = order.user_id;
  image.user_email = order.user_email;
  image.order_date = std::chrono::floor<std::chrono::seconds>(order.created_at);
  image.total_amount = order.total_amount;
  image.items_count = order.items_count();
  image.status = order.status;
  image.payment_method = order.payment_method;
  image.payment_status = order.payment_status;
  image.items.reserve(order.lines.size());
  for (const OrderLine& line : order.lines)
    image.items.push_back({line.product_id, line.product_name, line.quantity, line.revenue()});
  return image;
}

std::string_view analytics_event_type(OrderEventType type) {
  switch (type) {
    case OrderEventType::kCreated:
      return "CREATED";
    case OrderEventType::kStatusChanged:
      return "UPDATED";
    case OrderEventType::kDeleted:
      return "DELETED";
  }
  return "?";
}

std::string to_json(const AnalyticsRow& row) {
  std::string text;
  text.reserve(640 + row.current.items.size() * 128 * (row.before ? 2 : 1));
  base::JsonWriter out(text);
  out.begin_object();
  out.key("order_id").string(row.order_id.value());
  write_image_members(out, row.current);
  out.key("created_at").number(base::to_seconds(row.transformed_at));
  out.key("version").number(row.version);
  out.key("event_type").string(analytics_event_type(row.type));
  out.key("deleted_at");
  if (row.deleted_at) {
    out.number(base::to_seconds(*row.deleted_at));
  } else {
    out.null();
  }
  out.key("is_deleted").number(row.is_deleted() ? 1 : 0);
  out.key("event_id").number(row.event_id.value());
  if (row.before) {
    out.key("before").begin_object();
    write_image_members(out, *row.before);
    out.end_object();
  }
  if (!row.traceparent.empty()) out.key("traceparent").string(row.traceparent);
  out.key("occurred_at_ms").number(base::to_ms(row.occurred_at));
  out.key("relayed_at_ms").number(base::to_ms(row.relayed_at));
  out.key("transformed_at_ms").number(base::to_ms(row.transformed_at));
  out.end_object();
  return text;
}

base::Result<AnalyticsRow> parse_analytics_row(std::string_view text) {
  auto row = read_row(text);
  if (!row) return base::rejected("analytics row: " + row.error().message);
  return row;
}

}  // namespace millrace::domain
