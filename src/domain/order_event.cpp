#include "domain/order_event.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/json_arena.h"
#include "domain/json_fields.h"

namespace millrace::domain {
namespace {

namespace json = boost::json;

void write_image(base::JsonWriter& out, const OrderImage& image) {
  out.begin_object();
  out.key("orderId").string(image.order_id.value());
  out.key("userId").string(image.user_id.value());
  out.key("userEmail").string(image.user_email);
  out.key("totalAmount").raw(image.total_amount.text2());
  out.key("status").string(to_string(image.status));
  out.key("paymentMethod").string(to_string(image.payment_method));
  out.key("paymentStatus").string(to_string(image.payment_status));
  out.key("createdAt").string(base::to_iso8601(image.created_at));
  out.key("items").begin_array();
  for (const OrderLine& line : image.lines) {
    out.begin_object();
    out.key("productId").string(line.product_id.value());
    out.key("productName").string(line.product_name);
    out.key("quantity").number(line.quantity);
    out.key("price").raw(line.price.text4());
    out.end_object();
  }
  out.end_array().end_object();
}

base::Result<base::UtcTime> time_member(const json::object& object, std::string_view name) {
  MILLRACE_TRY_ASSIGN(const std::string_view text, base::string_member(object, name));
  MILLRACE_TRY_ASSIGN(const base::UtcTime time, base::parse_utc(text));
  if (time < kWarehouseTimeFirst || time > kWarehouseTimeLast)
    return base::invalid(fmt::format("'{}' is outside of what the warehouse can hold (1970 to 2106)", name));
  return time;
}

/// Revenue of a line, without overflow.
bool is_bounded(const OrderLine& line) {
  const std::int64_t price = line.price.units();
  return (price < 0 ? -price : price) < kWarehouseAmountBound.units() / line.quantity;
}

base::Result<OrderImage> read_image(const json::object& object) {
  OrderImage image;
  MILLRACE_TRY_ASSIGN(std::string order_id, id_member(object, "orderId"));
  image.order_id = OrderId(std::move(order_id));
  MILLRACE_TRY_ASSIGN(std::string user_id, id_member(object, "userId"));
  image.user_id = UserId(std::move(user_id));
  MILLRACE_TRY_ASSIGN(image.user_email, name_member(object, "userEmail"));
  MILLRACE_TRY_ASSIGN(image.total_amount, money_member(object, "totalAmount", 2));
  MILLRACE_TRY_ASSIGN(const std::string_view status, base::string_member(object, "status"));
  MILLRACE_TRY_ASSIGN(image.status, parse_order_status(status));
  MILLRACE_TRY_ASSIGN(const std::string_view method, base::string_member(object, "paymentMethod"));
  MILLRACE_TRY_ASSIGN(image.payment_method, parse_payment_method(method));
  MILLRACE_TRY_ASSIGN(const std::string_view payment, base::string_member(object, "paymentStatus"));
  MILLRACE_TRY_ASSIGN(image.payment_status, parse_payment_status(payment));
  MILLRACE_TRY_ASSIGN(image.created_at, time_member(object, "createdAt"));
  MILLRACE_TRY_ASSIGN(const json::array* const items, array_member(object, "items"));
  image.lines.reserve(items->size());
  for (const json::value& item : *items) {
    if (!item.is_object()) return base::invalid("'items' must hold objects");
    const json::object& fields = item.get_object();
    OrderLine line;
    MILLRACE_TRY_ASSIGN(std::string product_id, id_member(fields, "productId"));
    line.product_id = ProductId(std::move(product_id));
    MILLRACE_TRY_ASSIGN(line.product_name, name_member(fields, "productName"));
    MILLRACE_TRY_ASSIGN(line.quantity, base::int_member(fields, "quantity"));
    if (line.quantity < 1 || line.quantity > kLineQuantityMax)
      return base::invalid(fmt::format("'quantity' must be from 1 to {}", kLineQuantityMax));
    MILLRACE_TRY_ASSIGN(line.price, money_member(fields, "price", 4));
    if (!is_bounded(line))
      return base::invalid("'price' times 'quantity' is more than the warehouse can hold");
    image.lines.push_back(std::move(line));
  }
  if (image.items_count() > kItemsCountMax)
    return base::invalid("the quantities add up to more than the warehouse can hold");
  return image;
}

base::Result<OrderEvent> read_event(std::string_view text) {
  base::JsonArena arena;
  MILLRACE_TRY_ASSIGN(const json::value document, base::parse_json(text, arena));
  if (!document.is_object()) return base::invalid("the event must be a JSON object");
  const json::object& object = document.get_object();
  OrderEvent event;
  MILLRACE_TRY_ASSIGN(const std::string_view type, base::string_member(object, "eventType"));
  if (type == to_string(OrderEventType::kCreated)) {
    event.type = OrderEventType::kCreated;
  } else if (type == to_string(OrderEventType::kStatusChanged)) {
    event.type = OrderEventType::kStatusChanged;
  } else if (type == to_string(OrderEventType::kDeleted)) {
    event.type = OrderEventType::kDeleted;
  } else {
    return base::invalid(fmt::format("unknown eventType '{}'", type.substr(0, 40)));
  }
  MILLRACE_TRY_ASSIGN(const std::int64_t version, base::int_member(object, "version"));
  if (version <= 0) return base::invalid("'version' must be above 0");
  event.version = static_cast<std::uint64_t>(version);
  MILLRACE_TRY_ASSIGN(event.occurred_at, time_member(object, "occurredAt"));
  if (event.type != OrderEventType::kCreated) {
    MILLRACE_TRY_ASSIGN(const json::object* const before, object_member(object, "before"));
    MILLRACE_TRY_ASSIGN(event.before, read_image(*before));
  }
  if (event.type != OrderEventType::kDeleted) {
    MILLRACE_TRY_ASSIGN(const json::object* const after, object_member(object, "after"));
    MILLRACE_TRY_ASSIGN(event.after, read_image(*after));
  }
  if (event.before && event.after && event.before->order_id != event.after->order_id)
    return base::invalid("'before' and 'after' are of different orders");
  if (event.type == OrderEventType::kDeleted && base::find_member(object, "deletedAt") != nullptr) {
    MILLRACE_TRY_ASSIGN(const base::UtcTime deleted_at, time_member(object, "deletedAt"));
    if (deleted_at != event.occurred_at) event.deleted_at = deleted_at;
  }
  if (const json::value* by = base::find_member(object, "deletedBy"); by != nullptr && by->is_string())
    event.deleted_by = std::string_view(by->get_string());
  if (const json::value* trace = base::find_member(object, "traceparent");
      trace != nullptr && trace->is_string())
    event.traceparent = std::string_view(trace->get_string());
  return event;
}

}  // namespace

std::string_view to_string(OrderEventType type) {
  switch (type) {
    case OrderEventType::kCreated:
      return "OrderCreated";
    case OrderEventType::kStatusChanged:
      return "OrderStatusChanged";
    case OrderEventType::kDeleted:
      return "OrderDeleted";
  }
  return "?";
}

std::string to_json(const OrderEvent& event) {
  const OrderImage& image = event.image();
  std::string text;
  text.reserve(512 + image.lines.size() * 128 * (event.before && event.after ? 2 : 1));
  base::JsonWriter out(text);
  out.begin_object();
  out.key("eventType").string(to_string(event.type));
  out.key("orderId").string(image.order_id.value());
  out.key("userId").string(image.user_id.value());
  out.key("totalAmount").raw(image.total_amount.text2());
  out.key("itemsCount").number(image.items_count());
  out.key("status").string(to_string(image.status));
  out.key("createdAt").string(base::to_iso8601(image.created_at));
  if (event.type == OrderEventType::kDeleted) {
    out.key("deletedAt").string(base::to_iso8601(event.deleted_at.value_or(event.occurred_at)));
    out.key("deletedBy").string(event.deleted_by);
  }
  out.key("version").number(event.version);
  out.key("occurredAt").string(base::to_iso8601(event.occurred_at));
  if (!event.traceparent.empty()) out.key("traceparent").string(event.traceparent);
  if (event.before) {
    out.key("before");
    write_image(out, *event.before);
  }
  if (event.after) {
    out.key("after");
    write_image(out, *event.after);
  }
  out.end_object();
  return text;
}

base::Result<OrderEvent> parse_order_event(std::string_view text) {
  auto event = read_event(text);
  if (!event) return base::rejected("order event: " + event.error().message);
  return event;
}

}  // namespace millrace::domain
