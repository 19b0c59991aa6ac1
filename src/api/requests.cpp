#include "api/requests.h"

#include <algorithm>
#include <limits>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "base/json.h"
#include "base/text.h"
#include "domain/json_fields.h"

namespace millrace::api {
namespace {

namespace json = boost::json;

bool holds_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

base::Result<json::object> parse_object(std::string_view body) {
  if (base::trim(body).empty()) return base::invalid("the body is empty; send a JSON object");
  MILLRACE_TRY_ASSIGN(json::value document, base::parse_json(body));
  if (!document.is_object()) return base::invalid("the body must be a JSON object");
  return std::move(document.get_object());
}

base::Result<std::string> id_of(const json::object& object, std::string_view name) {
  MILLRACE_TRY_ASSIGN(std::string id, domain::id_member(object, name));
  if (holds_control(id)) return base::invalid(fmt::format("'{}' holds a control character", name));
  return id;
}

base::Result<std::int64_t> whole_number(const json::object& object, std::string_view name, std::int64_t least,
                                        std::int64_t most) {
  const json::value* value = base::find_member(object, name);
  const bool is_whole = value != nullptr && (value->is_int64() || value->is_uint64());
  // A whole number that 64 bits do not hold comes as a double; to the sender it is a number that is too
  // large.
  const bool is_huge =
      value != nullptr && value->is_double() && !(value->get_double() > -1e18 && value->get_double() < 1e18);
  if (!is_whole && !is_huge) return base::invalid(fmt::format("'{}' must be a whole number", name));
  if (is_huge || value->is_uint64() || value->get_int64() < least || value->get_int64() > most)
    return base::invalid(fmt::format("'{}' must be from {} to {}", name, least, most));
  return value->get_int64();
}

base::Result<std::optional<domain::Money>> optional_money(const json::object& object, std::string_view name,
                                                          int decimals_max) {
  if (base::find_member(object, name) == nullptr) return std::nullopt;
  MILLRACE_TRY_ASSIGN(const domain::Money money, domain::money_member(object, name, decimals_max));
  if (money < domain::Money()) return base::invalid(fmt::format("'{}' must not be negative", name));
  return money;
}

template <class Value>
base::Result<std::optional<Value>> optional_word(const json::object& object, std::string_view name,
                                                 base::Result<Value> (*parse)(std::string_view)) {
  if (base::find_member(object, name) == nullptr) return std::nullopt;
  MILLRACE_TRY_ASSIGN(const std::string_view text, base::string_member(object, name));
  auto value = parse(text);
  if (!value) return base::with_context(fmt::format("'{}'", name), std::move(value).error());
  return *value;
}

base::Result<ordering::OrderItemRequest> parse_item(const json::value& value) {
  if (!value.is_object()) return base::invalid("must be an object with productId and quantity");
  const json::object& object = value.get_object();
  MILLRACE_TRY_ASSIGN(std::string product_id, id_of(object, "productId"));
  ordering::OrderItemRequest item;
  item.product_id = domain::ProductId(std::move(product_id));
  MILLRACE_TRY_ASSIGN(item.quantity, whole_number(object, "quantity", 1, domain::kLineQuantityMax));
  MILLRACE_TRY_ASSIGN(item.expected_price, optional_money(object, "price", 4));
  return item;
}

base::Result<std::optional<std::chrono::sys_days>> day_parameter(const ports::HttpRequest& request,
                                                                 std::string_view name) {
  const auto text = request.parameter(name);
  if (!text || text->empty()) return std::nullopt;
  const auto day = base::parse_date(*text);
  if (!day) return base::invalid(fmt::format("'{}' must be a day such as 2026-01-31", name));
  return *day;
}

}  // namespace

base::Result<ordering::PlaceOrder> parse_place_order(std::string_view body, std::string traceparent) {
  MILLRACE_TRY_ASSIGN(const json::object object, parse_object(body));
  ordering::PlaceOrder order;
  order.traceparent = std::move(traceparent);
  MILLRACE_TRY_ASSIGN(std::string user_id, id_of(object, "userId"));
  order.user_id = domain::UserId(std::move(user_id));

  MILLRACE_TRY_ASSIGN(const json::array* items, domain::array_member(object, "items"));
  if (items->empty() || items->size() > domain::kOrderLinesMax)
    return base::invalid(fmt::format("'items' must have 1 to {} items", domain::kOrderLinesMax));
  order.items.reserve(items->size());
  for (const json::value& value : *items) {
    auto item = parse_item(value);
    if (!item)
      return base::with_context(fmt::format("items[{}]", order.items.size()), std::move(item).error());
    order.items.push_back(std::move(*item));
  }

  if (base::find_member(object, "shippingAddress") != nullptr) {
    MILLRACE_TRY_ASSIGN(order.shipping_address, base::string_member(object, "shippingAddress"));
    if (order.shipping_address.size() > kShippingAddressBytesMax)
      return base::invalid(
          fmt::format("'shippingAddress' must have at most {} bytes", kShippingAddressBytesMax));
  }
  MILLRACE_TRY_ASSIGN(order.status, optional_word(object, "status", &domain::parse_order_status));
  MILLRACE_TRY_ASSIGN(order.payment_method,
                      optional_word(object, "paymentMethod", &domain::parse_payment_method));
  MILLRACE_TRY_ASSIGN(order.expected_total, optional_money(object, "totalAmount", 2));
  return order;
}

base::Result<ordering::SettlePayment> parse_payment(std::string_view body, std::string traceparent) {
  MILLRACE_TRY_ASSIGN(const json::object object, parse_object(body));
  ordering::SettlePayment payment;
  payment.traceparent = std::move(traceparent);
  MILLRACE_TRY_ASSIGN(std::string order_id, id_of(object, "orderId"));
  payment.order_id = domain::OrderId(std::move(order_id));
  MILLRACE_TRY_ASSIGN(const auto status, optional_word(object, "status", &domain::parse_payment_status));
  payment.status = status.value_or(domain::PaymentStatus::kCompleted);
  if (payment.status != domain::PaymentStatus::kCompleted && payment.status != domain::PaymentStatus::kFailed)
    return base::invalid("'status' must be COMPLETED or FAILED");
  MILLRACE_TRY_ASSIGN(payment.amount, optional_money(object, "amount", 2));
  MILLRACE_TRY_ASSIGN(payment.method, optional_word(object, "method", &domain::parse_payment_method));
  return payment;
}

base::Result<ordering::SetStock> parse_set_stock(std::string_view product_id, std::string_view body) {
  MILLRACE_TRY_ASSIGN(const json::object object, parse_object(body));
  ordering::SetStock command;
  command.product_id = domain::ProductId(std::string(product_id));
  MILLRACE_TRY_ASSIGN(command.quantity, whole_number(object, "quantity", 0, kStockMax));
  return command;
}

base::Result<std::string> parse_admin_id(std::optional<std::string_view> header) {
  const std::string_view id = base::trim(header.value_or(std::string_view()));
  if (id.empty()) return base::invalid("the header X-Admin-Id is missing; say who does this");
  if (id.size() > kAdminIdBytesMax || holds_control(id) || !base::is_utf8(id))
    return base::invalid(
        fmt::format("the header X-Admin-Id must be at most {} bytes of UTF-8 without control characters",
                    kAdminIdBytesMax));
  return std::string(id);
}

base::Result<std::string> parse_segment(std::string_view segment, std::string_view what,
                                        std::size_t bytes_max) {
  if (segment.empty() || segment.size() > bytes_max)
    return base::invalid(fmt::format("{} has 1 to {} characters", what, bytes_max));
  return std::string(segment);
}

base::Result<std::uint32_t> parse_limit(const ports::HttpRequest& request, std::uint32_t otherwise,
                                        std::uint32_t most) {
  return parse_count(request, "limit", otherwise, most);
}

base::Result<std::uint32_t> parse_count(const ports::HttpRequest& request, std::string_view name,
                                        std::uint32_t otherwise, std::uint32_t most) {
  const auto text = request.parameter(name);
  if (!text || text->empty()) return otherwise;
  const auto count = base::parse_int<std::uint32_t>(*text);
  if (!count || *count < 1 || *count > most)
    return base::invalid(fmt::format("'{}' must be a whole number from 1 to {}", name, most));
  return *count;
}

base::Result<bool> parse_flag(const ports::HttpRequest& request, std::string_view name) {
  const auto text = request.parameter(name);
  if (!text || *text == "false" || *text == "0") return false;
  if (text->empty() || *text == "true" || *text == "1") return true;
  return base::invalid(fmt::format("{} must be true or false", name));
}

base::Result<analytics::SalesRange> parse_sales_range(const ports::HttpRequest& request) {
  analytics::SalesRange range;
  MILLRACE_TRY_ASSIGN(range.first_day, day_parameter(request, "startDate"));
  MILLRACE_TRY_ASSIGN(range.last_day, day_parameter(request, "endDate"));
  if (range.first_day && range.last_day && *range.first_day > *range.last_day)
    return base::invalid("'startDate' must not be after 'endDate'");
  MILLRACE_TRY_ASSIGN(range.rows_max, parse_limit(request, range.rows_max, 10'000));
  return range;
}

}  // namespace millrace::api
