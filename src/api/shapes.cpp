#include "api/shapes.h"

#include "api/json_fields.h"
#include "base/json.h"
#include "base/utc_time.h"

namespace millrace::api {
namespace {

using base::JsonWriter;

void time(JsonWriter& json, std::string_view key, base::UtcTime moment) {
  json.key(key).string(base::to_iso8601(moment));
}
void money(JsonWriter& json, std::string_view key, domain::Money amount) {
  json.key(key).raw(amount.text2());
}

void write(JsonWriter& json, const ports::StoredOrder& order) {
  const domain::OrderImage& image = order.image;
  json.begin_object();
  json.key("id").string(image.order_id.value());
  json.key("orderId").string(image.order_id.value());
  json.key("userId").string(image.user_id.value());
  money(json, "totalAmount", image.total_amount);
  json.key("status").string(domain::to_string(image.status));
  text_or_null(json, "shippingAddress", order.shipping_address);
  time(json, "createdAt", image.created_at);
  time(json, "updatedAt", order.updated_at);
  json.key("items").begin_array();
  for (const domain::OrderLine& line : image.lines) {
    json.begin_object();
    json.key("productId").string(line.product_id.value());
    json.key("productName").string(line.product_name);
    json.key("quantity").number(line.quantity);
    json.key("price").raw(price_text(line.price));
    json.end_object();
  }
  json.end_array().end_object();
}

void write(JsonWriter& json, const ports::Product& product) {
  json.begin_object();
  json.key("id").string(product.id.value());
  json.key("name").string(product.name);
  text_or_null(json, "description", product.description);
  json.key("price").raw(price_text(product.price));
  text_or_null(json, "category", product.category);
  text_or_null(json, "imageUrl", product.image_url);
  json.key("isActive").boolean(product.is_active);
  time(json, "createdAt", product.created_at);
  time(json, "updatedAt", product.updated_at);
  json.end_object();
}

void write(JsonWriter& json, const ports::User& user) {
  json.begin_object();
  json.key("id").string(user.id.value());
  json.key("email").string(user.email);
  json.key("name").string(user.name);
  text_or_null(json, "phone", user.phone);
  time(json, "createdAt", user.created_at);
  time(json, "updatedAt", user.updated_at);
  json.end_object();
}

void write(JsonWriter& json, const analytics::DailySales& row) {
  json.begin_object();
  json.key("order_date").string(base::to_date(row.order_date));
  json.key("order_count").number(row.order_count);
  money(json, "total_revenue", row.total_revenue);
  money(json, "avg_order_value", row.avg_order_value);
  json.key("unique_customers").number(row.unique_customers);
  json.end_object();
}

void write(JsonWriter& json, const analytics::HourlySales& row) {
  json.begin_object();
  time(json, "order_hour", row.order_hour);
  json.key("order_count").number(row.order_count);
  money(json, "total_revenue", row.total_revenue);
  money(json, "avg_order_value", row.avg_order_value);
  json.end_object();
}

void write(JsonWriter& json, const analytics::StatusCount& row) {
  json.begin_object();
  json.key("order_date").string(base::to_date(row.order_date));
  json.key("status").string(row.status);
  json.key("order_count").number(row.order_count);
  money(json, "total_amount", row.total_amount);
  json.end_object();
}

void write_payment(JsonWriter& json, const ports::StoredOrder& order) {
  json.begin_object();
  json.key("orderId").string(order.image.order_id.value());
  money(json, "amount", order.image.total_amount);
  json.key("status").string(domain::to_string(order.image.payment_status));
  json.key("method").string(domain::to_string(order.image.payment_method));
  time(json, "createdAt", order.image.created_at);
  time(json, "updatedAt", order.updated_at);
  json.end_object();
}

template <class Thing>
std::string one(const Thing& thing) {
  std::string out;
  JsonWriter json(out);
  write(json, thing);
  return out;
}

template <class Thing>
std::string all(std::span<const Thing> things) {
  std::string out;
  JsonWriter json(out);
  json.begin_array();
  for (const Thing& thing : things) write(json, thing);
  json.end_array();
  return out;
}

}  // namespace

std::string price_text(domain::Money price) {
  return price.has_only_cents() ? price.text2() : price.text4();
}

std::string order_json(const ports::StoredOrder& order) {
  return one(order);
}
std::string orders_json(std::span<const ports::StoredOrder> orders) {
  return all(orders);
}
std::string product_json(const ports::Product& product) {
  return one(product);
}
std::string products_json(std::span<const ports::Product> products) {
  return all(products);
}
std::string user_json(const ports::User& user) {
  return one(user);
}
std::string users_json(std::span<const ports::User> users) {
  return all(users);
}

std::string stock_json(const ports::Stock& stock) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.key("productId").string(stock.product_id.value());
  json.key("quantity").number(stock.quantity);
  json.key("reserved").number(stock.reserved);
  json.key("available").number(stock.available());
  time(json, "updatedAt", stock.updated_at);
  json.end_object();
  return out;
}

std::string payment_json(const ports::StoredOrder& order) {
  std::string out;
  JsonWriter json(out);
  write_payment(json, order);
  return out;
}

std::string payments_json(const ports::StoredOrder& order) {
  std::string out;
  JsonWriter json(out);
  json.begin_array();
  write_payment(json, order);
  json.end_array();
  return out;
}

std::string daily_sales_json(std::span<const analytics::DailySales> rows) {
  return all(rows);
}
std::string hourly_sales_json(std::span<const analytics::HourlySales> rows) {
  return all(rows);
}
std::string order_status_json(std::span<const analytics::StatusCount> rows) {
  return all(rows);
}

std::string stats_json(const analytics::Stats& stats) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.key("total_orders").number(stats.total_orders);
  money(json, "total_revenue", stats.total_revenue);
  money(json, "avg_order_value", stats.avg_order_value);
  json.key("unique_customers").number(stats.unique_customers);
  json.end_object();
  return out;
}

}  // namespace millrace::api
