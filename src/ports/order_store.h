// The order store: transactions for the ordering stage, and reads for the API.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"
#include "domain/order.h"

namespace millrace::ports {

struct User {
  domain::UserId id;
  std::string email;
  std::string name;
  std::string phone;  ///< May be empty.
  base::UtcTime created_at;
  base::UtcTime updated_at;
};

struct Product {
  domain::ProductId id;
  std::string name;
  std::string description;
  domain::Money price;
  std::string category;
  std::string image_url;
  bool is_active = true;
  base::UtcTime created_at;
  base::UtcTime updated_at;
};

struct Stock {
  domain::ProductId product_id;
  std::int64_t quantity = 0;  ///< On the shelf.
  std::int64_t reserved = 0;  ///< Of those, promised to orders that are not gone.
  base::UtcTime updated_at;   ///< Read only.
  [[nodiscard]] std::int64_t available() const { return quantity - reserved; }
};

/// An order as it stands in the database.
struct StoredOrder {
  domain::OrderImage image;
  std::string shipping_address;  ///< May be empty.
  std::uint64_t version = 0;     ///< 0: from before the pipeline, no event has told of it yet.
  base::UtcTime updated_at;
  std::optional<base::UtcTime> deleted_at;
  bool stock_reserved = false;  ///< Its quantities stand in the products' `reserved` and are given back once.
};

/// A change of an existing order; all fields are written.
struct OrderUpdate {
  domain::OrderId id;
  domain::OrderStatus status = domain::OrderStatus::kPending;
  domain::PaymentStatus payment_status = domain::PaymentStatus::kPending;
  std::uint64_t version = 0;
  base::UtcTime updated_at;
  std::optional<base::UtcTime> deleted_at;
  bool stock_reserved = false;
};

/// The version that an order got when it was backfilled; nothing else of it changes.
struct OrderVersion {
  domain::OrderId id;
  std::uint64_t version = 0;
};

struct NewOutboxRow {
  std::string aggregate_id;
  std::string aggregate_type;  ///< "Order".
  std::string event_type;
  std::string payload;
  base::UtcTime created_at;
};

/// One transaction on one connection. One caller. Rolled back when destroyed without `commit`. Errors of
/// every call: kUnavailable (away, deadlock, too slow: nothing was written, but see `commit`), kInvalid (the
/// data does not fit a column), kConflict (a unique key is taken). All reads of stock and orders lock what
/// they return until the end of the transaction.
class OrderTransaction {
 public:
  virtual ~OrderTransaction() = default;

  /// Those that exist and are not deleted, in any order.
  [[nodiscard]] virtual base::Result<std::vector<User>> users(std::span<const domain::UserId> ids) = 0;
  [[nodiscard]] virtual base::Result<std::vector<Product>> products(
      std::span<const domain::ProductId> ids) = 0;
  /// Locks in the order of the product ids, whatever the order asked for.
  [[nodiscard]] virtual base::Result<std::vector<Stock>> lock_stock(
      std::span<const domain::ProductId> ids) = 0;
  /// Those that exist, deleted ones included, with their lines and payment; locks in the order of the ids.
  [[nodiscard]] virtual base::Result<std::vector<StoredOrder>> lock_orders(
      std::span<const domain::OrderId> ids) = 0;

  /// Orders with their lines and one payment row each.
  [[nodiscard]] virtual base::Result<void> insert_orders(std::span<const StoredOrder> orders) = 0;
  [[nodiscard]] virtual base::Result<void> update_orders(std::span<const OrderUpdate> updates) = 0;
  [[nodiscard]] virtual base::Result<void> set_versions(std::span<const OrderVersion> versions) = 0;
  /// Copies the user's e-mail and the products' names into those of the orders that have none of their own:
  /// orders of programs that do not know these columns.
  [[nodiscard]] virtual base::Result<void> fill_copied_names(std::span<const domain::OrderId> ids) = 0;
  [[nodiscard]] virtual base::Result<void> set_stock(std::span<const Stock> stock) = 0;
  /// Rows that exist already stay as they are. Products come with a stock row of quantity 0.
  [[nodiscard]] virtual base::Result<void> insert_missing_users(std::span<const User> users) = 0;
  [[nodiscard]] virtual base::Result<void> insert_missing_products(std::span<const Product> products) = 0;
  [[nodiscard]] virtual base::Result<void> append_outbox(std::span<const NewOutboxRow> rows) = 0;

  /// Durable when it returns. Errors: kUnavailable also when the answer was lost: the transaction may have
  /// been committed.
  [[nodiscard]] virtual base::Result<void> commit() = 0;
};

/// Thread-safe; each transaction and each read takes a connection of its own from a bounded pool.
class OrderStore {
 public:
  virtual ~OrderStore() = default;

  /// Waits for a free connection until the deadline; the deadline also bounds every statement of the
  /// transaction.
  [[nodiscard]] virtual base::Result<std::unique_ptr<OrderTransaction>> begin(base::Deadline deadline) = 0;

  // Plain reads of what is committed. Errors: kNotFound where one thing is asked for, kUnavailable.
  [[nodiscard]] virtual base::Result<StoredOrder> order(const domain::OrderId& id,
                                                        base::Deadline deadline) = 0;  ///< Not deleted.
  /// Newest first, deleted ones left out.
  [[nodiscard]] virtual base::Result<std::vector<StoredOrder>> orders_of_user(const domain::UserId& user,
                                                                              std::size_t count_max,
                                                                              base::Deadline deadline) = 0;
  /// Ids above `after` of orders at version 0, deleted ones included, in rising order.
  [[nodiscard]] virtual base::Result<std::vector<domain::OrderId>> orders_to_backfill(
      const domain::OrderId& after, std::size_t count_max, base::Deadline deadline) = 0;
  /// Reads the whole table.
  [[nodiscard]] virtual base::Result<std::uint64_t> count_orders_to_backfill(base::Deadline deadline) = 0;
  /// Orders with ids above `after`, deleted ones included, in rising order of ids; each with its payment as
  /// at one moment (an ordinary read that holds nothing up).
  [[nodiscard]] virtual base::Result<std::vector<StoredOrder>> orders_after(const domain::OrderId& after,
                                                                            std::size_t count_max,
                                                                            base::Deadline deadline) = 0;
  [[nodiscard]] virtual base::Result<std::vector<Product>> all_products(base::Deadline deadline) = 0;
  [[nodiscard]] virtual base::Result<Product> product(const domain::ProductId& id,
                                                      base::Deadline deadline) = 0;
  [[nodiscard]] virtual base::Result<std::vector<Product>> products_in_category(const std::string& category,
                                                                                base::Deadline deadline) = 0;
  [[nodiscard]] virtual base::Result<std::vector<User>> all_users(std::size_t count_max,
                                                                  base::Deadline deadline) = 0;
  [[nodiscard]] virtual base::Result<User> user(const domain::UserId& id, base::Deadline deadline) = 0;
  [[nodiscard]] virtual base::Result<User> user_by_email(const std::string& email,
                                                         base::Deadline deadline) = 0;
  [[nodiscard]] virtual base::Result<Stock> stock(const domain::ProductId& id, base::Deadline deadline) = 0;
};

}  // namespace millrace::ports
