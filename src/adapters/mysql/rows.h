// Rows of the order store's tables as the ports' types.
#pragma once

#include <string_view>
#include <vector>

#include "adapters/mysql/connection.h"
#include "ports/order_store.h"

namespace millrace::adapters::mysql {

// Column lists and the functions that read a row of exactly these columns, in this order. Errors: kFatal,
// when a value cannot be what our schema holds.
inline constexpr std::string_view kUserColumns = "id, email, name, phone, created_at, updated_at";
[[nodiscard]] base::Result<ports::User> read_user(Row row);

inline constexpr std::string_view kProductColumns =
    "id, name, description, price, category, image_url, is_active, created_at, updated_at";
[[nodiscard]] base::Result<ports::Product> read_product(Row row);

inline constexpr std::string_view kStockColumns = "product_id, quantity, reserved, updated_at";
[[nodiscard]] base::Result<ports::Stock> read_stock(Row row);

/// Of orders AS o LEFT JOIN payments AS p: one row per payment.
inline constexpr std::string_view kOrderColumns =
    "o.id, o.user_id, o.user_email, o.total_amount, o.status, o.shipping_address, o.version, "
    "o.stock_reserved, o.created_at, "
    "o.updated_at, o.deleted_at, p.method, p.status, p.id";
inline constexpr std::size_t kPaymentStatusColumn = 12;
inline constexpr std::size_t kPaymentIdColumn = 13;
/// Adds the order to `orders`, or to the last of them what a second payment row says.
[[nodiscard]] base::Result<void> read_order(Row row, std::vector<ports::StoredOrder>& orders);

/// order_id first; the line goes to the order of that id.
inline constexpr std::string_view kLineColumns = "order_id, product_id, product_name, quantity, price";
[[nodiscard]] base::Result<domain::OrderLine> read_line(Row row);

}  // namespace millrace::adapters::mysql
