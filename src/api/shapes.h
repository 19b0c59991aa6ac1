// The JSON shapes of the answers: CONTRACT's names, money with two decimals, times in ISO 8601 UTC with
// milliseconds.
#pragma once

#include <span>
#include <string>

#include "analytics/analytics.h"
#include "ports/order_store.h"

namespace millrace::api {

[[nodiscard]] std::string order_json(const ports::StoredOrder& order);
[[nodiscard]] std::string orders_json(std::span<const ports::StoredOrder> orders);
[[nodiscard]] std::string product_json(const ports::Product& product);
[[nodiscard]] std::string products_json(std::span<const ports::Product> products);
[[nodiscard]] std::string user_json(const ports::User& user);
[[nodiscard]] std::string users_json(std::span<const ports::User> users);
[[nodiscard]] std::string stock_json(const ports::Stock& stock);
/// The payment of an order.
[[nodiscard]] std::string payment_json(const ports::StoredOrder& order);
[[nodiscard]] std::string payments_json(const ports::StoredOrder& order);

[[nodiscard]] std::string daily_sales_json(std::span<const analytics::DailySales> rows);
[[nodiscard]] std::string hourly_sales_json(std::span<const analytics::HourlySales> rows);
[[nodiscard]] std::string order_status_json(std::span<const analytics::StatusCount> rows);
[[nodiscard]] std::string stats_json(const analytics::Stats& stats);

/// Two decimals; a unit price that has more (only imported orders have such) keeps all of its four, because a
/// rounded one would no longer add up to the total.
[[nodiscard]] std::string price_text(domain::Money price);

}  // namespace millrace::api
