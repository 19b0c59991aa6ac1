// An order store in memory for unit tests of the ordering stage: its transactions take effect one after the
// other, and can be told to need time, to fail and to throw.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ports/order_store.h"

namespace millrace::support {

/// Thread-safe, but what is public is for the test: set it before the store is used. A read outside of a
/// transaction, which the ordering stage has no use for, is kUnavailable.
class FakeOrderStore final : public ports::OrderStore {
 public:
  /// Time that each transaction would need: one whose deadline leaves less cannot begin. Nothing waits.
  std::chrono::milliseconds needs{0};
  /// Called with the name of each call of a transaction ("begin", "lock_orders", "insert_orders", "commit"
  /// …); may throw or return an error. An error of "commit" comes before anything is applied.
  std::function<base::Result<void>(std::string_view call)> before = {};
  /// After a commit was applied: an error here is an answer that was lost.
  std::function<base::Result<void>()> after_commit = {};

  // What is committed.
  std::map<domain::OrderId, ports::StoredOrder> orders;
  std::map<domain::UserId, ports::User> known_users;
  std::map<domain::ProductId, ports::Product> known_products;
  std::map<domain::ProductId, ports::Stock> shelves;
  std::vector<ports::NewOutboxRow> outbox;
  int begun = 0;
  int committed = 0;

  /// A user, and a product with that much in stock.
  void add_user(const std::string& id) {
    ports::User user;
    user.id = domain::UserId(id);
    user.email = id + "@example.com";
    known_users.emplace(user.id, user);
  }
  void add_product(const std::string& id, domain::Money price, std::int64_t quantity) {
    ports::Product product;
    product.id = domain::ProductId(id);
    product.name = id;
    product.price = price;
    known_products.emplace(product.id, product);
    ports::Stock stock;
    stock.product_id = product.id;
    stock.quantity = quantity;
    shelves.emplace(product.id, stock);
  }

  base::Result<std::unique_ptr<ports::OrderTransaction>> begin(base::Deadline deadline) override {
    MILLRACE_TRY(call("begin"));
    if (deadline.left() < needs) return base::unavailable("the transaction did not end in time");
    ++begun;
    return std::make_unique<Transaction>(*this);
  }

  base::Result<ports::StoredOrder> order(const domain::OrderId&, base::Deadline) override { return no(); }
  base::Result<std::vector<ports::StoredOrder>> orders_of_user(const domain::UserId&, std::size_t,
                                                               base::Deadline) override {
    return no();
  }
  base::Result<std::vector<domain::OrderId>> orders_to_backfill(const domain::OrderId&, std::size_t,
                                                                base::Deadline) override {
    return no();
  }
  base::Result<std::uint64_t> count_orders_to_backfill(base::Deadline) override { return no(); }
  base::Result<std::vector<ports::StoredOrder>> orders_after(const domain::OrderId&, std::size_t,
                                                             base::Deadline) override {
    return no();
  }
  base::Result<std::vector<ports::Product>> all_products(base::Deadline) override { return no(); }
  base::Result<ports::Product> product(const domain::ProductId&, base::Deadline) override { return no(); }
  base::Result<std::vector<ports::Product>> products_in_category(const std::string&,
                                                                 base::Deadline) override {
    return no();
  }
  base::Result<std::vector<ports::User>> all_users(std::size_t, base::Deadline) override { return no(); }
  base::Result<ports::User> user(const domain::UserId&, base::Deadline) override { return no(); }
  base::Result<ports::User> user_by_email(const std::string&, base::Deadline) override { return no(); }
  base::Result<ports::Stock> stock(const domain::ProductId&, base::Deadline) override { return no(); }

 private:
  /// Holds the only lock there is from beginning to end, and works on copies until the commit.
  class Transaction final : public ports::OrderTransaction {
   public:
    explicit Transaction(FakeOrderStore& store)
        : store_(store), lock_(store.mutex_), orders_(store.orders), shelves_(store.shelves) {}

    base::Result<std::vector<ports::User>> users(std::span<const domain::UserId> ids) override {
      MILLRACE_TRY(store_.call("users"));
      return found(store_.known_users, ids);
    }
    base::Result<std::vector<ports::Product>> products(std::span<const domain::ProductId> ids) override {
      MILLRACE_TRY(store_.call("products"));
      return found(store_.known_products, ids);
    }
    base::Result<std::vector<ports::Stock>> lock_stock(std::span<const domain::ProductId> ids) override {
      MILLRACE_TRY(store_.call("lock_stock"));
      return found(shelves_, ids);
    }
    base::Result<std::vector<ports::StoredOrder>> lock_orders(std::span<const domain::OrderId> ids) override {
      MILLRACE_TRY(store_.call("lock_orders"));
      return found(orders_, ids);
    }
    base::Result<void> insert_orders(std::span<const ports::StoredOrder> added) override {
      MILLRACE_TRY(store_.call("insert_orders"));
      for (const ports::StoredOrder& order : added)
        if (!orders_.emplace(order.image.order_id, order).second)
          return base::conflict("the order is there already");
      return {};
    }
    base::Result<void> update_orders(std::span<const ports::OrderUpdate> updates) override {
      MILLRACE_TRY(store_.call("update_orders"));
      for (const ports::OrderUpdate& update : updates) {
        ports::StoredOrder& order = orders_.at(update.id);
        order.image.status = update.status;
        order.image.payment_status = update.payment_status;
        order.version = update.version;
        order.updated_at = update.updated_at;
        order.deleted_at = update.deleted_at;
        order.stock_reserved = update.stock_reserved;
      }
      return {};
    }
    base::Result<void> set_versions(std::span<const ports::OrderVersion> versions) override {
      MILLRACE_TRY(store_.call("set_versions"));
      for (const ports::OrderVersion& one : versions) orders_.at(one.id).version = one.version;
      return {};
    }
    base::Result<void> fill_copied_names(std::span<const domain::OrderId>) override { return {}; }
    base::Result<void> set_stock(std::span<const ports::Stock> stock) override {
      MILLRACE_TRY(store_.call("set_stock"));
      for (const ports::Stock& row : stock) shelves_[row.product_id] = row;
      return {};
    }
    base::Result<void> insert_missing_users(std::span<const ports::User> users) override {
      for (const ports::User& user : users) store_.known_users.emplace(user.id, user);
      return {};
    }
    base::Result<void> insert_missing_products(std::span<const ports::Product> products) override {
      for (const ports::Product& product : products) store_.known_products.emplace(product.id, product);
      return {};
    }
    base::Result<void> append_outbox(std::span<const ports::NewOutboxRow> rows) override {
      MILLRACE_TRY(store_.call("append_outbox"));
      outbox_.insert(outbox_.end(), rows.begin(), rows.end());
      return {};
    }
    base::Result<void> commit() override {
      MILLRACE_TRY(store_.call("commit"));
      store_.orders = orders_;
      store_.shelves = shelves_;
      store_.outbox.insert(store_.outbox.end(), outbox_.begin(), outbox_.end());
      ++store_.committed;
      if (store_.after_commit) return store_.after_commit();
      return {};
    }

   private:
    template <class Map, class Id>
    static std::vector<typename Map::mapped_type> found(const Map& map, std::span<const Id> ids) {
      std::vector<typename Map::mapped_type> rows;
      for (const Id& id : std::set<Id>(ids.begin(), ids.end()))
        if (const auto entry = map.find(id); entry != map.end()) rows.push_back(entry->second);
      return rows;
    }

    FakeOrderStore& store_;
    std::unique_lock<std::mutex> lock_;
    std::map<domain::OrderId, ports::StoredOrder> orders_;
    std::map<domain::ProductId, ports::Stock> shelves_;
    std::vector<ports::NewOutboxRow> outbox_;
  };

  base::Result<void> call(std::string_view name) { return before ? before(name) : base::Result<void>(); }
  static std::unexpected<base::Error> no() {
    return base::unavailable("the fake order store has transactions only");
  }

  std::mutex mutex_;
};

}  // namespace millrace::support
