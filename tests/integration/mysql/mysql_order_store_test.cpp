#include "adapters/mysql/mysql_order_store.h"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/mysql_outbox.h"
#include "base/uuid.h"
#include "domain/order_event.h"
#include "support/mariadb_fixture.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using adapters::mysql::Connection;
using adapters::mysql::MysqlOrderStore;
using base::ErrorKind;
using domain::OrderId;
using domain::ProductId;
using domain::UserId;

base::Deadline soon() {
  return base::Deadline::in(10s);
}
const base::UtcTime kNoon = *base::parse_utc("2026-01-31T12:00:00.123Z");

ports::StoredOrder order_of(const std::string& id, std::size_t lines = 1) {
  ports::StoredOrder order;
  order.image.order_id = OrderId(id);
  order.image.user_id = UserId("user-2");
  order.image.user_email = "bob@example.com";
  order.image.created_at = kNoon;
  for (std::size_t i = 0; i < lines; ++i)
    order.image.lines.push_back({.product_id = ProductId(fmt::format("prod-{}", i % 6 + 1)),
                                 .product_name = fmt::format("Näme of line {} 商品", i),
                                 .quantity = static_cast<std::int64_t>(i + 1),
                                 .price = domain::Money::from_units(12'345)});
  order.image.total_amount = domain::total_of(order.image.lines);
  order.shipping_address = "1 Mill Lane";
  order.version = 7;
  order.updated_at = kNoon + 1ms;
  return order;
}

class MysqlOrderStoreTest : public testing::Test {
 protected:
  std::unique_ptr<ports::OrderTransaction> begin(base::Deadline deadline = soon()) {
    auto transaction = store_.begin(deadline);
    EXPECT_TRUE(transaction) << (transaction ? "" : transaction.error().message);
    return transaction ? std::move(*transaction) : nullptr;
  }
  void insert(const std::vector<ports::StoredOrder>& orders) {
    const auto transaction = begin();
    const auto inserted = transaction->insert_orders(orders);
    ASSERT_TRUE(inserted) << inserted.error().message;
    ASSERT_TRUE(transaction->commit());
  }

  support::TestDatabase database_;
  MysqlOrderStore store_{database_.address()};
};

TEST_F(MysqlOrderStoreTest, GivesBackAnOrderExactlyAsItWasInserted) {
  ports::StoredOrder order = order_of(base::uuid_v7(kNoon), 3);
  order.image.status = domain::OrderStatus::kShipped;
  order.image.payment_method = domain::PaymentMethod::kPaypal;
  order.image.payment_status = domain::PaymentStatus::kCompleted;
  order.stock_reserved = true;
  insert({order});

  const auto read = store_.order(order.image.order_id, soon());

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->image, order.image);
  EXPECT_EQ(read->shipping_address, order.shipping_address);
  EXPECT_EQ(read->version, 7u);
  EXPECT_EQ(read->updated_at, order.updated_at);
  EXPECT_FALSE(read->deleted_at);
  EXPECT_TRUE(read->stock_reserved);
  EXPECT_EQ(store_.order(OrderId("nothing"), soon()).error().kind, ErrorKind::kNotFound);
}

TEST_F(MysqlOrderStoreTest, PagesThroughAllOrdersByIdDeletedOnesIncluded) {
  std::vector<ports::StoredOrder> orders;
  for (int i = 0; i < 5; ++i) orders.push_back(order_of(fmt::format("order-{}", i), 2));
  orders[3].deleted_at = kNoon;
  insert(orders);

  const auto first = store_.orders_after(OrderId(""), 3, soon());
  ASSERT_TRUE(first) << first.error().message;
  const auto rest = store_.orders_after(first->back().image.order_id, 3, soon());

  ASSERT_TRUE(rest) << rest.error().message;
  ASSERT_EQ(first->size(), 3u);
  ASSERT_EQ(rest->size(), 2u);
  EXPECT_EQ((*first)[0].image, orders[0].image);
  EXPECT_EQ((*rest)[0].image, orders[3].image);
  EXPECT_TRUE((*rest)[0].deleted_at);
  EXPECT_EQ((*rest)[1].image.order_id, OrderId("order-4"));
}

TEST_F(MysqlOrderStoreTest, ListsAUsersOrdersNewestFirstWithoutDeletedOnes) {
  std::vector<ports::StoredOrder> orders;
  for (int i = 0; i < 5; ++i) {
    orders.push_back(order_of(fmt::format("order-{}", i), 2));
    orders.back().image.created_at = kNoon + std::chrono::minutes((i * 3) % 5);
  }
  orders[4].deleted_at = kNoon;
  insert(orders);

  const auto read = store_.orders_of_user(UserId("user-2"), 3, soon());

  ASSERT_TRUE(read) << read.error().message;
  std::vector<std::string> ids;
  for (const ports::StoredOrder& order : *read) ids.push_back(order.image.order_id.value());
  EXPECT_EQ(ids, (std::vector<std::string>{"order-3", "order-1", "order-2"}));
  EXPECT_EQ((*read)[0].image.lines.size(), 2u);
  EXPECT_TRUE(store_.orders_of_user(UserId("user-1"), 3, soon())->empty());
}

TEST_F(MysqlOrderStoreTest, AnswersTheReadsOfTheShop) {
  EXPECT_EQ(store_.all_products(soon())->size(), 6u);
  const auto laptop = store_.product(ProductId("prod-1"), soon());
  ASSERT_TRUE(laptop) << laptop.error().message;
  EXPECT_EQ(laptop->name, "Laptop");
  EXPECT_EQ(laptop->price.text2(), "1299.99");
  EXPECT_EQ(store_.products_in_category("electronics", soon())->size(), 2u);
  EXPECT_TRUE(store_.products_in_category("nothing", soon())->empty());
  EXPECT_EQ(store_.all_users(2, soon())->size(), 2u);
  EXPECT_EQ(store_.user(UserId("user-3"), soon())->email, "carol@example.com");
  EXPECT_EQ(store_.user_by_email("Carol@Example.com", soon())->id.value(), "user-3");
  EXPECT_EQ(store_.stock(ProductId("prod-6"), soon())->available(), 100);
  EXPECT_EQ(store_.product(ProductId("prod-9"), soon()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_.user(UserId("user-9"), soon()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_.user_by_email("x@y", soon()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_.stock(ProductId("prod-9"), soon()).error().kind, ErrorKind::kNotFound);
}

TEST_F(MysqlOrderStoreTest, TakesTextAsTextWhateverItHolds) {
  ports::StoredOrder order = order_of("'; DROP TABLE orders; --");
  order.shipping_address = "O'Hara \\ \"x\" \n \x01 ?";
  insert({order});

  const auto read = store_.order(order.image.order_id, soon());

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->shipping_address, order.shipping_address);
}

TEST_F(MysqlOrderStoreTest, WritesNothingWithoutCommit) {
  {
    const auto transaction = begin();
    ASSERT_TRUE(transaction->insert_orders(std::vector{order_of("order-1")}));
    ASSERT_TRUE(transaction->set_stock(std::vector{
        ports::Stock{.product_id = ProductId("prod-1"), .quantity = 1, .reserved = 1, .updated_at = {}}}));
  }
  EXPECT_EQ(store_.order(OrderId("order-1"), soon()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_.stock(ProductId("prod-1"), soon())->quantity, 100);
}

TEST_F(MysqlOrderStoreTest, LocksOrdersAndStockUntilTheEndAndReadsDeletedOrders) {
  ports::StoredOrder deleted = order_of("order-1", 2);
  deleted.deleted_at = kNoon;
  insert({order_of("order-2"), deleted});
  auto first = begin();
  const auto locked =
      first->lock_orders(std::vector{OrderId("order-2"), OrderId("nothing"), OrderId("order-1")});
  ASSERT_TRUE(locked) << locked.error().message;
  ASSERT_EQ(locked->size(), 2u);
  EXPECT_EQ((*locked)[0].image, deleted.image);
  EXPECT_EQ((*locked)[0].deleted_at, kNoon);
  const auto stock =
      first->lock_stock(std::vector{ProductId("prod-2"), ProductId("prod-1"), ProductId("prod-9")});
  ASSERT_TRUE(stock) << stock.error().message;
  EXPECT_EQ(stock->size(), 2u);

  // Others wait, and give up at their deadline rather than later.
  const auto began = std::chrono::steady_clock::now();
  const auto blocked = begin(base::Deadline::in(200ms))->lock_stock(std::vector{ProductId("prod-1")});
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(begin(base::Deadline::in(200ms))->lock_orders(std::vector{OrderId("order-2")}).error().kind,
            ErrorKind::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 4s);
  EXPECT_TRUE(begin()->lock_stock(std::vector{ProductId("prod-3")}));

  first.reset();
  EXPECT_TRUE(begin()->lock_stock(std::vector{ProductId("prod-1")}));
}

TEST_F(MysqlOrderStoreTest, UpdatesManyOrdersAndStockRowsAtOnce) {
  std::vector<ports::StoredOrder> orders;
  std::vector<ports::OrderUpdate> updates;
  for (int i = 0; i < 150; ++i) {
    orders.push_back(order_of(fmt::format("order-{:03}", i)));
    if (i == 7) continue;  // stays as it is
    updates.push_back(
        {.id = orders.back().image.order_id,
         .status = i % 2 == 0 ? domain::OrderStatus::kDelivered : domain::OrderStatus::kCancelled,
         .payment_status = domain::PaymentStatus::kCompleted,
         .version = 1'000u + static_cast<std::uint64_t>(i),
         .updated_at = kNoon + 1h,
         .deleted_at = i % 3 == 0 ? std::optional(kNoon + 2h) : std::nullopt,
         .stock_reserved = i % 5 == 0});
  }
  insert(orders);
  const auto transaction = begin();
  const auto updated = transaction->update_orders(updates);
  ASSERT_TRUE(updated) << updated.error().message;
  ASSERT_TRUE(transaction->set_stock(std::vector<ports::Stock>{
      {.product_id = ProductId("prod-1"), .quantity = 11, .reserved = 1, .updated_at = {}},
      {.product_id = ProductId("prod-3"), .quantity = 33, .reserved = 3, .updated_at = {}},
      {.product_id = ProductId("prod-5"), .quantity = 55, .reserved = 5, .updated_at = {}}}));
  ASSERT_TRUE(transaction->commit());

  const auto check = begin();
  std::vector<OrderId> ids;
  for (const ports::StoredOrder& order : orders) ids.push_back(order.image.order_id);
  const auto read = check->lock_orders(ids);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 150u);
  for (std::size_t i = 0, u = 0; i < 150; ++i) {
    if (i == 7) {
      EXPECT_EQ((*read)[i].version, 7u);
      continue;
    }
    EXPECT_EQ((*read)[i].image.status, updates[u].status);
    EXPECT_EQ((*read)[i].image.payment_status, updates[u].payment_status);
    EXPECT_EQ((*read)[i].version, updates[u].version);
    EXPECT_EQ((*read)[i].updated_at, updates[u].updated_at);
    EXPECT_EQ((*read)[i].deleted_at, updates[u].deleted_at);
    EXPECT_EQ((*read)[i].stock_reserved, updates[u].stock_reserved);
    ++u;
  }
  EXPECT_EQ(database_.value(
                "SELECT GROUP_CONCAT(CONCAT(quantity, '-', reserved) ORDER BY product_id) FROM inventory"),
            "11-1,100-0,33-3,100-0,55-5,100-0");
}

TEST_F(MysqlOrderStoreTest, MakesMissingUsersAndProductsAndLeavesTheOthers) {
  std::vector<ports::User> users;
  std::vector<ports::Product> products;
  for (const char* id : {"or-2", "user-1", "or-1", "or-2"})
    users.push_back({.id = UserId(id),
                     .email = std::string(id) + "@h.example",
                     .name = id,
                     .phone = "",
                     .created_at = kNoon,
                     .updated_at = kNoon});
  for (const char* id : {"or-b", "prod-1", "or-a", "or-b"})
    products.push_back({.id = ProductId(id),
                        .name = id,
                        .description = "",
                        .price = domain::Money::from_units(12'345),
                        .category = "history",
                        .image_url = "",
                        .is_active = false,
                        .created_at = kNoon,
                        .updated_at = kNoon});
  for (int twice = 0; twice < 2; ++twice) {
    const auto transaction = begin();
    const auto users_made = transaction->insert_missing_users(users);
    ASSERT_TRUE(users_made) << users_made.error().message;
    const auto products_made = transaction->insert_missing_products(products);
    ASSERT_TRUE(products_made) << products_made.error().message;
    ASSERT_TRUE(transaction->commit());
  }
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM users"), "5");
  EXPECT_EQ(database_.value("SELECT email FROM users WHERE id = 'user-1'"), "alice@example.com");
  EXPECT_EQ(
      database_.value("SELECT CONCAT(quantity, ' ', reserved) FROM inventory WHERE product_id = 'or-b'"),
      "0 0");
  const auto made = store_.product(ProductId("or-a"), soon());
  ASSERT_TRUE(made);
  EXPECT_EQ(made->price.text4(), "1.2345");
  EXPECT_FALSE(made->is_active);
  EXPECT_EQ(made->created_at, kNoon);
}

TEST_F(MysqlOrderStoreTest, SaysWhatKindOfErrorItIs) {
  insert({order_of("order-1")});
  EXPECT_EQ(begin()->insert_orders(std::vector{order_of("order-1")}).error().kind, ErrorKind::kConflict);
  ports::StoredOrder of_nobody = order_of("order-2");
  of_nobody.image.user_id = UserId("nobody");
  EXPECT_EQ(begin()->insert_orders(std::vector{of_nobody}).error().kind, ErrorKind::kInvalid);
  ports::StoredOrder too_long = order_of("order-3");
  too_long.image.lines[0].product_name = std::string(256, 'x');
  EXPECT_EQ(begin()->insert_orders(std::vector{too_long}).error().kind, ErrorKind::kInvalid);
  ports::User taken{.id = UserId("new"),
                    .email = "ALICE@example.com",
                    .name = "",
                    .phone = "",
                    .created_at = kNoon,
                    .updated_at = kNoon};
  EXPECT_EQ(begin()->insert_missing_users(std::vector{taken}).error().kind, ErrorKind::kConflict);
  // The pool's connections are all usable after that.
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(store_.product(ProductId("prod-1"), soon()));
}

TEST_F(MysqlOrderStoreTest, CarriesAnOrderOfManyLinesWithBothItsImagesToTheRelay) {
  ports::StoredOrder order = order_of("large", 1'114);
  for (domain::OrderLine& line : order.image.lines) line.product_name = std::string(255, 'n');
  domain::OrderEvent event;
  event.type = domain::OrderEventType::kStatusChanged;
  event.version = 8;
  event.before = order.image;
  event.after = order.image;
  const std::string payload = domain::to_json(event);
  const std::string padded =
      payload.substr(0, payload.size() - 1) + ",\"padding\":\"" + std::string(4'000'000, 'p') + "\"}";
  const auto transaction = begin();
  const auto inserted = transaction->insert_orders(std::vector{order});
  ASSERT_TRUE(inserted) << inserted.error().message;
  std::vector<ports::NewOutboxRow> rows(3, {.aggregate_id = "large",
                                            .aggregate_type = "Order",
                                            .event_type = "OrderStatusChanged",
                                            .payload = padded,
                                            .created_at = kNoon});
  const auto appended = transaction->append_outbox(rows);
  ASSERT_TRUE(appended) << appended.error().message;
  ASSERT_TRUE(transaction->commit());

  adapters::mysql::MysqlOutbox outbox(database_.address());
  const auto lease = outbox.acquire(0, soon());
  ASSERT_TRUE(lease) << lease.error().message;
  const auto fetched = (*lease)->fetch(0, 10, soon());
  ASSERT_TRUE(fetched) << fetched.error().message;
  ASSERT_EQ(fetched->size(), 3u);
  EXPECT_EQ((*fetched)[2].payload, padded);
  EXPECT_EQ((*fetched)[0].created_at, kNoon);
  EXPECT_EQ(store_.order(OrderId("large"), soon())->image, order.image);
}

TEST_F(MysqlOrderStoreTest, WritesABatchInFewRoundTripsAndKeepsFewStatements) {
  const auto executed = [&] {
    return std::stoll(
        database_.value("SELECT variable_value FROM information_schema.global_status WHERE variable_name = "
                        "'COM_STMT_EXECUTE'"));
  };
  std::vector<ports::StoredOrder> orders;
  for (int i = 0; i < 64; ++i) orders.push_back(order_of(fmt::format("order-{}", i), 26));
  const auto before = executed();
  insert(orders);
  // 1 of orders, 7 of 1,664 lines, 1 of payments; and one or two of ours that ask.
  EXPECT_LE(executed() - before, 12);

  // Batches of every size from 1 to 64 share their statements, which the connection keeps within its bound.
  for (int size = 1; size <= 64; ++size) {
    std::vector<ports::StoredOrder> batch;
    for (int i = 0; i < size; ++i)
      batch.push_back(order_of(fmt::format("batch-{}-{}", size, i), static_cast<std::size_t>(size % 7 + 1)));
    insert(batch);
  }
  EXPECT_LE(std::stoll(database_.value("SELECT variable_value FROM information_schema.global_status WHERE "
                                       "variable_name = 'PREPARED_STMT_COUNT'")),
            40);
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM orders"), "2144");
}

TEST_F(MysqlOrderStoreTest, ForgetsTheLeastUsedStatementWhenItHasTooMany) {
  const auto connection = Connection::open(database_.address(), database_.address().database,
                                           adapters::mysql::Isolation::kReadCommitted, soon());
  ASSERT_TRUE(connection);
  for (std::size_t i = 0; i < Connection::kStatementsMax * 2; ++i) {
    const auto read = (*connection)
                          ->query(
                              fmt::format("SELECT {}", i), {},
                              [](adapters::mysql::Row) -> base::Result<void> { return {}; }, soon());
    ASSERT_TRUE(read) << read.error().message;
  }
  EXPECT_LE(std::stoul(database_.value("SELECT variable_value FROM information_schema.global_status WHERE "
                                       "variable_name = 'PREPARED_STMT_COUNT'")),
            Connection::kStatementsMax + 1);
}

TEST_F(MysqlOrderStoreTest, WaitsForAFreeConnectionUntilTheDeadline) {
  MysqlOrderStore narrow(database_.address(), {.connections_max = 1});
  auto held = narrow.begin(soon());
  ASSERT_TRUE(held);
  EXPECT_EQ(narrow.begin(base::Deadline::in(50ms)).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(narrow.product(ProductId("prod-1"), base::Deadline::in(50ms)).error().kind,
            ErrorKind::kUnavailable);
  held->reset();
  EXPECT_TRUE(narrow.product(ProductId("prod-1"), soon()));
}

TEST_F(MysqlOrderStoreTest, ComesBackByItselfWhenTheServerDoes) {
  ASSERT_TRUE(store_.product(ProductId("prod-1"), soon()));
  auto open = begin();
  support::MariadbServer::get().kill();
  EXPECT_EQ(store_.product(ProductId("prod-1"), base::Deadline::in(1s)).error().kind,
            ErrorKind::kUnavailable);
  EXPECT_EQ(open->commit().error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(open->lock_stock(std::vector{ProductId("prod-1")}).error().kind, ErrorKind::kUnavailable);
  support::MariadbServer::get().start();
  const auto read = store_.product(ProductId("prod-1"), soon());
  EXPECT_TRUE(read) << read.error().message;
}

TEST_F(MysqlOrderStoreTest, SaysToRunInitDbWhenTheTablesAreMissing) {
  auto address = database_.address();
  address.database = "never_made";
  MysqlOrderStore store(address);
  const auto missing = store.product(ProductId("prod-1"), soon());
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("run millrace init-db"), std::string::npos)
      << missing.error().message;
}

}  // namespace
}  // namespace millrace
