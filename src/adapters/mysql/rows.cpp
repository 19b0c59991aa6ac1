#include "adapters/mysql/rows.h"

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::adapters::mysql {
namespace {

base::Result<base::UtcTime> time_of(std::optional<std::string_view> field) {
  if (!field) return base::fatal("the order store holds NULL where a time must be: check its schema");
  return base::parse_utc(*field);
}
template <class Number>
base::Result<Number> number_of(const Field& field) {
  const auto number = field.integer<Number>();
  if (!number) return base::fatal("the order store holds no number where one must be: check its schema");
  return *number;
}
std::string text_of(std::optional<std::string_view> field) {
  return std::string(field.value_or(""));
}

}  // namespace

base::Result<ports::User> read_user(Row row) {
  ports::User user;
  user.id = domain::UserId(text_of(row[0]));
  user.email = text_of(row[1]);
  user.name = text_of(row[2]);
  user.phone = text_of(row[3]);
  MILLRACE_TRY_ASSIGN(user.created_at, time_of(row[4]));
  MILLRACE_TRY_ASSIGN(user.updated_at, time_of(row[5]));
  return user;
}

base::Result<ports::Product> read_product(Row row) {
  ports::Product product;
  product.id = domain::ProductId(text_of(row[0]));
  product.name = text_of(row[1]);
  product.description = text_of(row[2]);
  MILLRACE_TRY_ASSIGN(product.price, domain::Money::parse(row[3].value_or("")));
  product.category = text_of(row[4]);
  product.image_url = text_of(row[5]);
  product.is_active = row[6].integer<int>() != 0;
  MILLRACE_TRY_ASSIGN(product.created_at, time_of(row[7]));
  MILLRACE_TRY_ASSIGN(product.updated_at, time_of(row[8]));
  return product;
}

base::Result<ports::Stock> read_stock(Row row) {
  ports::Stock stock;
  stock.product_id = domain::ProductId(text_of(row[0]));
  MILLRACE_TRY_ASSIGN(stock.quantity, number_of<std::int64_t>(row[1]));
  MILLRACE_TRY_ASSIGN(stock.reserved, number_of<std::int64_t>(row[2]));
  MILLRACE_TRY_ASSIGN(stock.updated_at, time_of(row[3]));
  return stock;
}

base::Result<void> read_order(Row row, std::vector<ports::StoredOrder>& orders) {
  if (orders.empty() || orders.back().image.order_id.value() != row[0]) {
    ports::StoredOrder order;
    order.image.order_id = domain::OrderId(text_of(row[0]));
    order.image.user_id = domain::UserId(text_of(row[1]));
    order.image.user_email = text_of(row[2]);
    MILLRACE_TRY_ASSIGN(order.image.total_amount, domain::Money::parse(row[3].value_or("")));
    MILLRACE_TRY_ASSIGN(order.image.status, domain::parse_order_status(row[4].value_or("")));
    order.shipping_address = text_of(row[5]);
    MILLRACE_TRY_ASSIGN(order.version, number_of<std::uint64_t>(row[6]));
    order.stock_reserved = row[7].integer<int>() != 0;
    MILLRACE_TRY_ASSIGN(order.image.created_at, time_of(row[8]));
    MILLRACE_TRY_ASSIGN(order.updated_at, time_of(row[9]));
    if (row[10]) {
      MILLRACE_TRY_ASSIGN(order.deleted_at, time_of(row[10]));
    }
    orders.push_back(std::move(order));
  }
  if (row[11]) {
    MILLRACE_TRY_ASSIGN(orders.back().image.payment_method, domain::parse_payment_method(*row[11]));
    MILLRACE_TRY_ASSIGN(orders.back().image.payment_status,
                        domain::parse_payment_status(row[12].value_or("")));
  }
  return {};
}

base::Result<domain::OrderLine> read_line(Row row) {
  domain::OrderLine line;
  line.product_id = domain::ProductId(text_of(row[1]));
  line.product_name = text_of(row[2]);
  MILLRACE_TRY_ASSIGN(line.quantity, number_of<std::int64_t>(row[3]));
  MILLRACE_TRY_ASSIGN(line.price, domain::Money::parse(row[4].value_or("")));
  return line;
}

}  // namespace millrace::adapters::mysql
