#include "adapters/mysql/mysql_order_store.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "adapters/mysql/latest_payments.h"
#include "adapters/mysql/pool.h"
#include "adapters/mysql/rows.h"
#include "adapters/mysql/statements.h"
#include "base/text.h"
#include "base/uuid.h"

namespace millrace::adapters::mysql {
namespace {

template <class Id>
std::string_view id_text(const Id& id) {
  return id.value();
}

Value text_or_null(const std::string& text) {
  return text.empty() ? Value{} : Value{std::string_view(text)};
}

template <class Item>
auto collect(std::vector<Item>& into, base::Result<Item> (*read)(Row)) {
  return [&into, read](Row row) -> base::Result<void> {
    MILLRACE_TRY_ASSIGN(Item item, read(row));
    into.push_back(std::move(item));
    return {};
  };
}

/// Puts the lines of `orders` into them, in the order in which they were inserted.
base::Result<void> read_lines(Connection& connection, std::vector<ports::StoredOrder>& orders,
                              base::Deadline deadline) {
  std::unordered_map<std::string_view, ports::StoredOrder*> by_id;
  for (ports::StoredOrder& order : orders) by_id.emplace(order.image.order_id.value(), &order);
  return in_chunks(
      orders, [](const ports::StoredOrder& order) { return id_text(order.image.order_id); },
      [&](std::span<const Value> values, const std::string& list) {
        return connection.query(
            fmt::format("SELECT {} FROM order_items WHERE order_id IN {} ORDER BY order_id, id", kLineColumns,
                        list),
            values,
            [&](Row row) -> base::Result<void> {
              MILLRACE_TRY_ASSIGN(domain::OrderLine line, read_line(row));
              if (const auto order = by_id.find(*row[0]); order != by_id.end())
                order->second->image.lines.push_back(std::move(line));
              return {};
            },
            deadline);
      });
}

/// The ids of `table` among those of `items`.
template <class Items>
base::Result<std::unordered_set<std::string>> existing_ids(Connection& connection, std::string_view table,
                                                           const Items& items, base::Deadline deadline) {
  std::unordered_set<std::string> found;
  MILLRACE_TRY(in_chunks(
      items, [](const auto& item) { return id_text(item->id); },
      [&](std::span<const Value> values, const std::string& list) {
        return connection.query(
            fmt::format("SELECT id FROM {} WHERE id IN {}", table, list), values,
            [&](Row row) -> base::Result<void> {
              found.emplace(*row[0]);
              return {};
            },
            deadline);
      }));
  return found;
}

/// Pointers to the items that are not in `table`, by id and without repeats: writers that insert the same ids
/// then meet in the same order.
template <class Item>
base::Result<std::vector<const Item*>> missing_of(Connection& connection, std::string_view table,
                                                  std::span<const Item> items, base::Deadline deadline) {
  std::vector<const Item*> wanted;
  wanted.reserve(items.size());
  for (const Item& item : items) wanted.push_back(&item);
  std::ranges::sort(wanted, {}, [](const Item* item) { return id_text(item->id); });
  const auto repeats = std::ranges::unique(wanted, {}, [](const Item* item) { return id_text(item->id); });
  wanted.erase(repeats.begin(), repeats.end());
  MILLRACE_TRY_ASSIGN(const auto existing, existing_ids(connection, table, wanted, deadline));
  std::erase_if(wanted, [&](const Item* item) { return existing.contains(item->id.value()); });
  return wanted;
}

class Transaction final : public ports::OrderTransaction {
 public:
  Transaction(PooledConnection connection, base::Deadline deadline)
      : connection_(std::move(connection)), deadline_(deadline) {}

  ~Transaction() override {
    if (ended_ || !connection_->usable()) return;
    // Without time left the connection is closed instead, which rolls back as well.
    if (deadline_.passed() || !connection_->command("ROLLBACK", deadline_)) connection_.discard();
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  base::Result<std::vector<ports::User>> users(std::span<const domain::UserId> ids) override {
    std::vector<ports::User> found;
    MILLRACE_TRY(
        in_chunks(ids, id_text<domain::UserId>, [&](std::span<const Value> values, const std::string& list) {
          return connection_->query(
              fmt::format("SELECT {} FROM users WHERE id IN {} AND deleted_at IS NULL", kUserColumns, list),
              values, collect(found, read_user), deadline_);
        }));
    return found;
  }

  base::Result<std::vector<ports::Product>> products(std::span<const domain::ProductId> ids) override {
    std::vector<ports::Product> found;
    MILLRACE_TRY(in_chunks(ids, id_text<domain::ProductId>,
                           [&](std::span<const Value> values, const std::string& list) {
                             return connection_->query(
                                 fmt::format("SELECT {} FROM products WHERE id IN {} AND deleted_at IS NULL",
                                             kProductColumns, list),
                                 values, collect(found, read_product), deadline_);
                           }));
    return found;
  }

  base::Result<std::vector<ports::Stock>> lock_stock(std::span<const domain::ProductId> ids) override {
    std::vector<domain::ProductId> sorted(ids.begin(), ids.end());
    std::ranges::sort(sorted);
    std::vector<ports::Stock> found;
    MILLRACE_TRY(in_chunks(
        sorted, id_text<domain::ProductId>, [&](std::span<const Value> values, const std::string& list) {
          return connection_->query(fmt::format("SELECT {} FROM inventory FORCE INDEX (PRIMARY) WHERE "
                                                "product_id IN {} ORDER BY product_id FOR UPDATE",
                                                kStockColumns, list),
                                    values, collect(found, read_stock), deadline_);
        }));
    return found;
  }

  base::Result<std::vector<ports::StoredOrder>> lock_orders(std::span<const domain::OrderId> ids) override {
    std::vector<domain::OrderId> sorted(ids.begin(), ids.end());
    std::ranges::sort(sorted);
    std::vector<ports::StoredOrder> found;
    MILLRACE_TRY(in_chunks(sorted, id_text<domain::OrderId>,
                           [&](std::span<const Value> values, const std::string& list) {
                             return connection_->query(
                                 fmt::format("SELECT {} FROM orders AS o FORCE INDEX (PRIMARY) LEFT JOIN "
                                             "payments AS p ON p.order_id = o.id "
                                             "WHERE o.id IN {} ORDER BY o.id, p.created_at, p.id FOR UPDATE",
                                             kOrderColumns, list),
                                 values,
                                 [&](Row row) {
                                   payments_.note(row);
                                   return read_order(row, found);
                                 },
                                 deadline_);
                           }));
    MILLRACE_TRY(read_lines(*connection_, found, deadline_));
    return found;
  }

  base::Result<void> insert_orders(std::span<const ports::StoredOrder> orders) override {
    MultiInsert order_rows(
        *connection_,
        "INSERT INTO orders (id, user_id, user_email, total_amount, status, shipping_address, version, "
        "stock_reserved, created_at, updated_at, deleted_at) VALUES ",
        11, deadline_);
    MultiInsert lines(
        *connection_,
        "INSERT INTO order_items (order_id, product_id, product_name, quantity, price, created_at) VALUES ",
        6, deadline_);
    MultiInsert payments(
        *connection_,
        "INSERT INTO payments (id, order_id, amount, status, method, created_at, updated_at) VALUES ", 7,
        deadline_);
    for (const ports::StoredOrder& order : orders) {
      const domain::OrderImage& image = order.image;
      MILLRACE_TRY(order_rows.add({id_text(image.order_id), id_text(image.user_id),
                                   std::string_view(image.user_email), image.total_amount.text2(),
                                   domain::to_string(image.status), text_or_null(order.shipping_address),
                                   order.version, std::int64_t{order.stock_reserved ? 1 : 0},
                                   base::to_sql(image.created_at), base::to_sql(order.updated_at),
                                   order.deleted_at ? Value{base::to_sql(*order.deleted_at)} : Value{}}));
    }
    MILLRACE_TRY(order_rows.finish());
    for (const ports::StoredOrder& order : orders) {
      const std::string created_at = base::to_sql(order.image.created_at);
      for (const domain::OrderLine& line : order.image.lines)
        MILLRACE_TRY(
            lines.add({id_text(order.image.order_id), id_text(line.product_id),
                       std::string_view(line.product_name), line.quantity, line.price.text4(), created_at}));
    }
    MILLRACE_TRY(lines.finish());
    for (const ports::StoredOrder& order : orders) {
      const domain::OrderImage& image = order.image;
      MILLRACE_TRY(
          payments.add({base::uuid_v7(image.created_at), id_text(image.order_id), image.total_amount.text2(),
                        domain::to_string(image.payment_status), domain::to_string(image.payment_method),
                        base::to_sql(image.created_at), base::to_sql(order.updated_at)}));
    }
    return payments.finish();
  }

  base::Result<void> update_orders(std::span<const ports::OrderUpdate> updates) override {
    std::vector<domain::OrderId> unknown;
    for (const ports::OrderUpdate& update : updates)
      if (!payments_.knows(update.id)) unknown.push_back(update.id);
    if (!unknown.empty()) MILLRACE_TRY(lock_orders(unknown));  // which notes their payments
    std::vector<std::vector<Value>> orders;
    std::vector<std::vector<Value>> payments;
    for (const ports::OrderUpdate& update : updates) {
      const std::string updated_at = base::to_sql(update.updated_at);
      orders.push_back({id_text(update.id), domain::to_string(update.status), update.version,
                        std::int64_t{update.stock_reserved ? 1 : 0}, updated_at,
                        update.deleted_at ? Value{base::to_sql(*update.deleted_at)} : Value{}});
      if (const auto payment = payments_.changed_by(update))
        payments.push_back({*payment, domain::to_string(update.payment_status), updated_at});
    }
    constexpr std::string_view kOrderFields[] = {"status", "version", "stock_reserved", "updated_at",
                                                 "deleted_at"};
    constexpr std::string_view kPaymentFields[] = {"status", "updated_at"};
    MILLRACE_TRY(update_each(*connection_, "orders", "id", kOrderFields, "", orders, deadline_));
    if (payments.empty()) return {};
    return update_each(*connection_, "payments", "id", kPaymentFields, "", payments, deadline_);
  }

  base::Result<void> set_versions(std::span<const ports::OrderVersion> versions) override {
    std::vector<std::vector<Value>> rows;
    rows.reserve(versions.size());
    for (const ports::OrderVersion& order : versions) rows.push_back({id_text(order.id), order.version});
    constexpr std::string_view kFields[] = {"version"};
    // Set to itself, or a column that follows every update would move.
    return update_each(*connection_, "orders", "id", kFields, ", updated_at = updated_at", rows, deadline_);
  }

  base::Result<void> fill_copied_names(std::span<const domain::OrderId> ids) override {
    std::vector<domain::OrderId> sorted(ids.begin(), ids.end());
    std::ranges::sort(sorted);
    return in_chunks(
        sorted, id_text<domain::OrderId>,
        [&](std::span<const Value> values, const std::string& list) -> base::Result<void> {
          MILLRACE_TRY(connection_->execute(
              fmt::format(
                  "UPDATE orders AS o JOIN users AS u ON u.id = o.user_id SET o.user_email = u.email, "
                  "o.updated_at = o.updated_at WHERE o.id IN {} AND o.user_email = ''",
                  list),
              values, deadline_));
          MILLRACE_TRY(connection_->execute(
              fmt::format("UPDATE order_items AS i JOIN products AS p ON p.id = i.product_id SET "
                          "i.product_name = p.name WHERE i.order_id IN {} AND i.product_name = ''",
                          list),
              values, deadline_));
          return {};
        });
  }

  base::Result<void> set_stock(std::span<const ports::Stock> stock) override {
    std::vector<std::vector<Value>> rows;
    rows.reserve(stock.size());
    for (const ports::Stock& item : stock)
      rows.push_back({id_text(item.product_id), item.quantity, item.reserved});
    constexpr std::string_view kFields[] = {"quantity", "reserved"};
    return update_each(*connection_, "inventory", "product_id", kFields, ", updated_at = UTC_TIMESTAMP(3)",
                       rows, deadline_);
  }

  base::Result<void> insert_missing_users(std::span<const ports::User> users) override {
    MILLRACE_TRY_ASSIGN(const auto missing, missing_of(*connection_, "users", users, deadline_));
    MultiInsert rows(*connection_,
                     "INSERT INTO users (id, email, name, phone, created_at, updated_at) VALUES ", 6,
                     deadline_);
    for (const ports::User* user : missing)
      MILLRACE_TRY(rows.add({id_text(user->id), std::string_view(user->email), std::string_view(user->name),
                             text_or_null(user->phone), base::to_sql(user->created_at),
                             base::to_sql(user->updated_at)}));
    return rows.finish();
  }

  base::Result<void> insert_missing_products(std::span<const ports::Product> products) override {
    MILLRACE_TRY_ASSIGN(const auto missing, missing_of(*connection_, "products", products, deadline_));
    MultiInsert rows(
        *connection_,
        "INSERT INTO products (id, name, description, price, category, image_url, is_active, created_at, "
        "updated_at) VALUES ",
        9, deadline_);
    MultiInsert stock(*connection_,
                      "INSERT INTO inventory (id, product_id, quantity, reserved, updated_at) VALUES ", 5,
                      deadline_);
    for (const ports::Product* product : missing)
      MILLRACE_TRY(
          rows.add({id_text(product->id), std::string_view(product->name), text_or_null(product->description),
                    product->price.text4(), std::string_view(product->category),
                    text_or_null(product->image_url), std::int64_t{product->is_active ? 1 : 0},
                    base::to_sql(product->created_at), base::to_sql(product->updated_at)}));
    MILLRACE_TRY(rows.finish());
    for (const ports::Product* product : missing)
      MILLRACE_TRY(
          stock.add({base::uuid_v5_url("millrace:inventory:" + product->id.value()), id_text(product->id),
                     std::int64_t{0}, std::int64_t{0}, base::to_sql(product->updated_at)}));
    return stock.finish();
  }

  base::Result<void> append_outbox(std::span<const ports::NewOutboxRow> rows) override {
    MultiInsert outbox(
        *connection_,
        "INSERT INTO outbox (aggregate_id, aggregate_type, event_type, payload, created_at) VALUES ", 5,
        deadline_);
    for (const ports::NewOutboxRow& row : rows)
      MILLRACE_TRY(outbox.add({std::string_view(row.aggregate_id), std::string_view(row.aggregate_type),
                               std::string_view(row.event_type), std::string_view(row.payload),
                               base::to_sql(row.created_at)}));
    return outbox.finish();
  }

  base::Result<void> commit() override {
    ended_ = true;
    base::Result<void> committed = connection_->command("COMMIT", deadline_);
    if (!committed) connection_.discard();
    return committed;
  }

 private:
  PooledConnection connection_;
  base::Deadline deadline_;
  LatestPayments payments_;  // of the orders that were locked
  bool ended_ = false;
};

}  // namespace

class MysqlOrderStore::Impl {
 public:
  Impl(ServerAddress address, OrderStoreOptions options)
      : pool(std::move(address), options.connections_max) {}

  /// The only row of a query that asks for one thing.
  template <class Item>
  base::Result<Item> one(const std::string& sql, const std::string& key, base::Result<Item> (*read)(Row),
                         std::string_view what, base::Deadline deadline) {
    MILLRACE_TRY_ASSIGN(std::vector<Item> found,
                        all<Item>(sql, Value{std::string_view(key)}, read, deadline));
    if (found.empty())
      return base::not_found(fmt::format("{} '{}' is not known", what, base::printable(key, 80)));
    return std::move(found.front());
  }

  template <class Item>
  base::Result<std::vector<Item>> all(const std::string& sql, std::optional<Value> value,
                                      base::Result<Item> (*read)(Row), base::Deadline deadline) {
    MILLRACE_TRY_ASSIGN(const PooledConnection connection, pool.acquire(deadline));
    std::vector<Item> found;
    const std::span<const Value> values =
        value ? std::span<const Value>(&*value, 1) : std::span<const Value>();
    MILLRACE_TRY(connection->query(sql, values, collect(found, read), deadline));
    return found;
  }

  /// Orders with payments and lines; `values` fill the placeholders of `sql`.
  base::Result<std::vector<ports::StoredOrder>> orders(const std::string& sql, std::span<const Value> values,
                                                       base::Deadline deadline) {
    MILLRACE_TRY_ASSIGN(const PooledConnection connection, pool.acquire(deadline));
    std::vector<ports::StoredOrder> found;
    MILLRACE_TRY(connection->query(sql, values, [&](Row row) { return read_order(row, found); }, deadline));
    MILLRACE_TRY(read_lines(*connection, found, deadline));
    return found;
  }

  Pool pool;
};

MysqlOrderStore::MysqlOrderStore(ServerAddress address, OrderStoreOptions options)
    : impl_(std::make_unique<Impl>(std::move(address), options)) {}
MysqlOrderStore::~MysqlOrderStore() = default;

base::Result<std::unique_ptr<ports::OrderTransaction>> MysqlOrderStore::begin(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(PooledConnection connection, impl_->pool.acquire(deadline));
  MILLRACE_TRY(connection->command("START TRANSACTION", deadline));
  return std::make_unique<Transaction>(std::move(connection), deadline);
}

base::Result<ports::StoredOrder> MysqlOrderStore::order(const domain::OrderId& id, base::Deadline deadline) {
  const Value key = id_text(id);
  MILLRACE_TRY_ASSIGN(
      auto found,
      impl_->orders(
          fmt::format("SELECT {} FROM orders AS o LEFT JOIN payments AS p ON p.order_id = o.id WHERE "
                      "o.id = ? AND o.deleted_at IS NULL ORDER BY p.created_at, p.id",
                      kOrderColumns),
          {&key, 1}, deadline));
  if (found.empty())
    return base::not_found(fmt::format("order '{}' is not known", base::printable(id.value(), 80)));
  return std::move(found.front());
}

base::Result<std::vector<ports::StoredOrder>> MysqlOrderStore::orders_of_user(const domain::UserId& user,
                                                                              std::size_t count_max,
                                                                              base::Deadline deadline) {
  const Value values[] = {id_text(user), std::uint64_t{count_max}};
  return impl_->orders(fmt::format("SELECT {} FROM (SELECT * FROM orders WHERE user_id = ? AND deleted_at IS "
                                   "NULL ORDER BY created_at DESC, id "
                                   "DESC LIMIT ?) AS o LEFT JOIN payments AS p ON p.order_id = o.id ORDER BY "
                                   "o.created_at DESC, o.id DESC, "
                                   "p.created_at, p.id",
                                   kOrderColumns),
                       values, deadline);
}

base::Result<std::vector<domain::OrderId>> MysqlOrderStore::orders_to_backfill(const domain::OrderId& after,
                                                                               std::size_t count_max,
                                                                               base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  std::vector<domain::OrderId> found;
  const Value values[] = {id_text(after), std::uint64_t{count_max}};
  MILLRACE_TRY(connection->query(
      "SELECT id FROM orders FORCE INDEX (PRIMARY) WHERE id > ? AND version = 0 ORDER BY id LIMIT ?", values,
      [&](Row row) -> base::Result<void> {
        found.emplace_back(std::string(*row[0]));
        return {};
      },
      deadline));
  return found;
}

base::Result<std::uint64_t> MysqlOrderStore::count_orders_to_backfill(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  std::uint64_t count = 0;
  MILLRACE_TRY(connection->query(
      "SELECT COUNT(*) FROM orders WHERE version = 0", {},
      [&](Row row) -> base::Result<void> {
        count = row[0].integer<std::uint64_t>().value_or(0);
        return {};
      },
      deadline));
  return count;
}

base::Result<std::vector<ports::StoredOrder>> MysqlOrderStore::orders_after(const domain::OrderId& after,
                                                                            std::size_t count_max,
                                                                            base::Deadline deadline) {
  const Value values[] = {id_text(after), std::uint64_t{count_max}};
  // Version and payment in one statement, so that they belong together; lines never change.
  return impl_->orders(
      fmt::format("SELECT {} FROM (SELECT * FROM orders WHERE id > ? ORDER BY id LIMIT ?) AS o LEFT JOIN "
                  "payments AS p ON p.order_id = o.id ORDER BY o.id, p.created_at, p.id",
                  kOrderColumns),
      values, deadline);
}

base::Result<std::vector<ports::Product>> MysqlOrderStore::all_products(base::Deadline deadline) {
  return impl_->all<ports::Product>(
      fmt::format("SELECT {} FROM products WHERE deleted_at IS NULL ORDER BY id", kProductColumns), {},
      read_product, deadline);
}

base::Result<ports::Product> MysqlOrderStore::product(const domain::ProductId& id, base::Deadline deadline) {
  return impl_->one<ports::Product>(
      fmt::format("SELECT {} FROM products WHERE id = ? AND deleted_at IS NULL", kProductColumns), id.value(),
      read_product, "product", deadline);
}

base::Result<std::vector<ports::Product>> MysqlOrderStore::products_in_category(const std::string& category,
                                                                                base::Deadline deadline) {
  return impl_->all<ports::Product>(
      fmt::format("SELECT {} FROM products WHERE category = ? AND deleted_at IS NULL ORDER BY id",
                  kProductColumns),
      Value{std::string_view(category)}, read_product, deadline);
}

base::Result<std::vector<ports::User>> MysqlOrderStore::all_users(std::size_t count_max,
                                                                  base::Deadline deadline) {
  return impl_->all<ports::User>(
      fmt::format("SELECT {} FROM users WHERE deleted_at IS NULL ORDER BY id LIMIT ?", kUserColumns),
      Value{std::uint64_t{count_max}}, read_user, deadline);
}

base::Result<ports::User> MysqlOrderStore::user(const domain::UserId& id, base::Deadline deadline) {
  return impl_->one<ports::User>(
      fmt::format("SELECT {} FROM users WHERE id = ? AND deleted_at IS NULL", kUserColumns), id.value(),
      read_user, "user", deadline);
}

base::Result<ports::User> MysqlOrderStore::user_by_email(const std::string& email, base::Deadline deadline) {
  return impl_->one<ports::User>(
      fmt::format("SELECT {} FROM users WHERE email = ? AND deleted_at IS NULL", kUserColumns), email,
      read_user, "user with the e-mail", deadline);
}

base::Result<ports::Stock> MysqlOrderStore::stock(const domain::ProductId& id, base::Deadline deadline) {
  return impl_->one<ports::Stock>(fmt::format("SELECT {} FROM inventory WHERE product_id = ?", kStockColumns),
                                  id.value(), read_stock, "stock of product", deadline);
}

}  // namespace millrace::adapters::mysql
