#include "ordering/order_service.h"

#include <atomic>
#include <future>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/mysql_order_store.h"
#include "adapters/system/system_clock.h"
#include "base/uuid.h"
#include "domain/order_event.h"
#include "support/mariadb_fixture.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using adapters::mysql::Connection;
using base::ErrorKind;
using domain::Money;
using domain::OrderId;
using domain::OrderStatus;
using domain::PaymentStatus;
using domain::ProductId;
using domain::UserId;
using ordering::ChangeOrder;
using ordering::DeleteOrder;
using ordering::ImportOrder;
using ordering::OrderService;
using ordering::Outcome;
using ordering::PlaceOrder;
using ordering::SetStock;

ordering::PlaceOrder place_order(std::vector<std::pair<std::string, std::int64_t>> items,
                                 const std::string& user = "user-1") {
  PlaceOrder place;
  place.user_id = UserId(user);
  for (auto& [product, quantity] : items)
    place.items.push_back({.product_id = ProductId(product), .quantity = quantity});
  place.shipping_address = "1 Mill Lane";
  return place;
}

ImportOrder record_order(const std::string& id, const std::string& user = "or-12345") {
  ImportOrder record;
  const base::UtcTime time = *base::parse_utc("2010-12-01T08:26:00Z");
  record.user = {.id = UserId(user),
                 .email = user + "@history.example",
                 .name = user,
                 .phone = "",
                 .created_at = time,
                 .updated_at = time};
  record.products.push_back({.id = ProductId("or-85123A"),
                             .name = "WHITE HANGING HEART T-LIGHT HOLDER",
                             .description = "",
                             .price = *Money::parse("2.55"),
                             .category = "history",
                             .image_url = "",
                             .is_active = false,
                             .created_at = time,
                             .updated_at = time});
  domain::OrderImage& image = record.order.image;
  image.order_id = OrderId(id);
  image.user_id = UserId(user);
  image.user_email = record.user.email;
  image.total_amount = *Money::parse("15.30");
  image.status = OrderStatus::kDelivered;
  image.payment_method = domain::PaymentMethod::kBankTransfer;
  image.payment_status = PaymentStatus::kCompleted;
  image.created_at = time;
  image.lines.push_back({.product_id = ProductId("or-85123A"),
                         .product_name = "WHITE HANGING HEART T-LIGHT HOLDER",
                         .quantity = 6,
                         .price = *Money::parse("2.55")});
  record.order.updated_at = time;
  return record;
}

class OrderServiceTest : public testing::Test {
 protected:
  void start(ordering::Options options = {}) {
    store_ = std::make_unique<adapters::mysql::MysqlOrderStore>(database_.address());
    service_ = std::make_unique<OrderService>(*store_, clock_, options, [this] { ++commits_; });
  }
  void SetUp() override { start(); }

  std::future<base::Result<Outcome>> submit(ordering::Command command) {
    auto promise = std::make_shared<std::promise<base::Result<Outcome>>>();
    service_->submit(std::move(command),
                     [promise](base::Result<Outcome> outcome) { promise->set_value(std::move(outcome)); });
    return promise->get_future();
  }
  base::Result<Outcome> run(ordering::Command command) { return submit(std::move(command)).get(); }

  /// Places one order and keeps the only writer busy until the promise is kept, so that what is submitted
  /// next is one batch.
  std::promise<void> hold_the_writer() {
    std::promise<void> gate;
    const std::shared_future<void> open = gate.get_future().share();
    std::promise<void> reached;
    service_->submit(place_order({{"prod-1", 1}}), [&reached, open](base::Result<Outcome>) {
      reached.set_value();
      open.wait();
    });
    reached.get_future().wait();
    return gate;
  }

  ports::StoredOrder placed(std::vector<std::pair<std::string, std::int64_t>> items) {
    auto outcome = run(place_order(std::move(items)));
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().message);
    return outcome ? outcome->order : ports::StoredOrder{};
  }
  std::string value(const std::string& select) { return database_.value(select); }
  domain::OrderEvent event(int index) {
    auto parsed = domain::parse_order_event(
        value(fmt::format("SELECT payload FROM outbox ORDER BY id LIMIT 1 OFFSET {}", index)));
    EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
    return parsed ? *parsed : domain::OrderEvent{};
  }

  support::TestDatabase database_;
  adapters::system::SystemClock clock_;
  std::atomic<int> commits_ = 0;
  std::unique_ptr<adapters::mysql::MysqlOrderStore> store_;
  std::unique_ptr<OrderService> service_;
};

TEST_F(OrderServiceTest, PlacesAnOrderWithItsLinesStockPaymentAndEventInOneTransaction) {
  const auto outcome = run(place_order({{"prod-1", 2}, {"prod-2", 1}}));

  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->changed);
  const domain::OrderImage& image = outcome->order.image;
  EXPECT_EQ(image.total_amount.text2(), "2629.97");
  EXPECT_EQ(image.user_email, "alice@example.com");
  EXPECT_EQ(image.status, OrderStatus::kPending);
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'prod-1'"), "2");
  EXPECT_EQ(value("SELECT available FROM inventory WHERE product_id = 'prod-2'"), "99");
  EXPECT_EQ(value("SELECT CONCAT(status, ' ', method, ' ', amount) FROM payments"),
            "PENDING CREDIT_CARD 2629.97");
  EXPECT_EQ(value("SELECT CONCAT(aggregate_type, ' ', event_type, ' ', processed, ' ', parked) FROM outbox"),
            "Order OrderCreated 0 0");
  EXPECT_EQ(value("SELECT aggregate_id FROM outbox"), image.order_id.value());
  const domain::OrderEvent created = event(0);
  EXPECT_EQ(created.version, outcome->order.version);
  EXPECT_EQ(created.after, image);
  EXPECT_EQ(commits_, 1);

  const auto stored = store_->order(image.order_id, base::Deadline::in(5s));
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->image, image);
  EXPECT_EQ(stored->version, outcome->order.version);
  EXPECT_EQ(stored->shipping_address, "1 Mill Lane");
  EXPECT_TRUE(stored->stock_reserved);
}

TEST_F(OrderServiceTest, RefusesWhatItDoesNotKnowOrHaveAndWritesNothing) {
  const auto unknown_user = run(place_order({{"prod-1", 1}}, "user-9"));
  ASSERT_FALSE(unknown_user);
  EXPECT_EQ(unknown_user.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(unknown_user.error().message, "user 'user-9' is not known");

  const auto unknown_product = run(place_order({{"prod-1", 1}, {"prod-77", 1}}));
  ASSERT_FALSE(unknown_product);
  EXPECT_EQ(unknown_product.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(unknown_product.error().message, "product 'prod-77' is not known");

  // Servers compare with trailing blanks ignored; ids are exact all the same.
  EXPECT_EQ(run(place_order({{"prod-1 ", 1}})).error().kind, ErrorKind::kNotFound);

  database_.run("UPDATE products SET is_active = 0 WHERE id = 'prod-6'");
  const auto inactive = run(place_order({{"prod-6", 1}}));
  ASSERT_FALSE(inactive);
  EXPECT_EQ(inactive.error().kind, ErrorKind::kInvalid);

  const auto too_many = run(place_order({{"prod-1", 101}}));
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(too_many.error().message, "product prod-1: 101 asked, 100 left");

  EXPECT_EQ(run(place_order({})).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(run(place_order({{"prod-1", 0}})).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(run(place_order({{"prod-1", domain::kLineQuantityMax + 1}})).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(run(place_order({{std::string(40, 'x'), 1}})).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(run(place_order(std::vector<std::pair<std::string, std::int64_t>>(domain::kOrderLinesMax + 1,
                                                                              {"prod-1", 1})))
                .error()
                .kind,
            ErrorKind::kInvalid);

  EXPECT_EQ(value("SELECT COUNT(*) FROM orders"), "0");
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "0");
  EXPECT_EQ(value("SELECT SUM(reserved) FROM inventory"), "0");
  EXPECT_EQ(commits_, 0);
}

TEST_F(OrderServiceTest, ChecksPricesAndTotalsThatTheCustomerSent) {
  PlaceOrder right = place_order({{"prod-2", 2}});
  right.expected_total = Money::parse("59.98").value();
  right.items[0].expected_price = Money::parse("29.99").value();
  EXPECT_TRUE(run(right));

  PlaceOrder wrong_total = right;
  wrong_total.expected_total = Money::parse("1").value();
  EXPECT_EQ(run(wrong_total).error().kind, ErrorKind::kInvalid);
  PlaceOrder wrong_price = right;
  wrong_price.items[0].expected_price = Money::parse("0.01").value();
  EXPECT_EQ(run(wrong_price).error().kind, ErrorKind::kInvalid);
}

TEST_F(OrderServiceTest, ChecksTheStockAgainstTheSumOfLinesOfOneProduct) {
  const auto refused = run(place_order({{"prod-3", 60}, {"prod-3", 50}}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "product prod-3: 110 asked, 100 left");

  const ports::StoredOrder order = placed({{"prod-3", 60}, {"prod-3", 40}});
  EXPECT_EQ(order.image.lines.size(), 2u);
  EXPECT_EQ(value("SELECT available FROM inventory WHERE product_id = 'prod-3'"), "0");
}

TEST_F(OrderServiceTest, GivesStockBackOnceWhenAnOrderIsCancelledAndThenDeleted) {
  const ports::StoredOrder order = placed({{"prod-4", 7}});

  const auto cancelled =
      run(ChangeOrder{.order_id = order.image.order_id, .status = OrderStatus::kCancelled});
  ASSERT_TRUE(cancelled) << cancelled.error().message;
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'prod-4'"), "0");
  const ports::StoredOrder other = placed({{"prod-4", 5}});
  const auto deleted = run(DeleteOrder{.order_id = order.image.order_id, .admin_id = "admin-1"});
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'prod-4'"), "5");
  EXPECT_LT(order.version, cancelled->order.version);
  EXPECT_LT(cancelled->order.version, deleted->order.version);
}

TEST_F(OrderServiceTest, ChangesStatusAndPaymentWithImagesBeforeAndAfter) {
  const ports::StoredOrder order = placed({{"prod-5", 1}});

  const auto changed =
      run(ChangeOrder{.order_id = order.image.order_id,
                      .status = OrderStatus::kPaymentConfirmed,
                      .payment_status = PaymentStatus::kCompleted,
                      .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"});
  ASSERT_TRUE(changed) << changed.error().message;
  const auto again =
      run(ChangeOrder{.order_id = order.image.order_id, .status = OrderStatus::kPaymentConfirmed});
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "2");
  EXPECT_EQ(value("SELECT status FROM payments"), "COMPLETED");
  EXPECT_EQ(value("SELECT version FROM orders"), std::to_string(changed->order.version));
  const domain::OrderEvent change = event(1);
  EXPECT_EQ(change.before, order.image);
  EXPECT_EQ(change.after, changed->order.image);
  EXPECT_EQ(change.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

  const auto unexpected = run(ChangeOrder{.order_id = order.image.order_id,
                                          .status = OrderStatus::kShipped,
                                          .expected_status = OrderStatus::kPending});
  ASSERT_FALSE(unexpected);
  EXPECT_EQ(unexpected.error().kind, ErrorKind::kConflict);
}

TEST_F(OrderServiceTest, NeverBringsACancelledOrderBackToLife) {
  const ports::StoredOrder order = placed({{"prod-5", 1}});
  ASSERT_TRUE(run(ChangeOrder{.order_id = order.image.order_id, .status = OrderStatus::kCancelled}));

  EXPECT_EQ(run(ChangeOrder{.order_id = order.image.order_id, .status = OrderStatus::kShipped}).error().kind,
            ErrorKind::kConflict);
}

TEST_F(OrderServiceTest, DeletesOnceAndAnswersTheSecondTimeWithoutAnEvent) {
  const ports::StoredOrder order = placed({{"prod-1", 3}});

  const auto deleted = run(DeleteOrder{.order_id = order.image.order_id, .admin_id = "admin-1"});
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_TRUE(deleted->changed);
  ASSERT_TRUE(deleted->order.deleted_at);
  const auto again = run(DeleteOrder{.order_id = order.image.order_id, .admin_id = "admin-2"});
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "2");
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'prod-1'"), "0");
  const domain::OrderEvent removal = event(1);
  EXPECT_EQ(removal.type, domain::OrderEventType::kDeleted);
  EXPECT_EQ(removal.before, order.image);
  EXPECT_FALSE(removal.after);
  EXPECT_EQ(removal.deleted_by, "admin-1");

  EXPECT_EQ(run(DeleteOrder{.order_id = OrderId("no-such-order"), .admin_id = "admin-1"}).error().kind,
            ErrorKind::kNotFound);
  EXPECT_EQ(run(DeleteOrder{.order_id = order.image.order_id, .admin_id = ""}).error().kind,
            ErrorKind::kInvalid);
  EXPECT_EQ(run(ChangeOrder{.order_id = order.image.order_id, .status = OrderStatus::kShipped}).error().kind,
            ErrorKind::kConflict);
  EXPECT_EQ(store_->order(order.image.order_id, base::Deadline::in(5s)).error().kind, ErrorKind::kNotFound);
}

TEST_F(OrderServiceTest, RecordsHistoryAsItIsAndOnlyOnce) {
  const std::string id = base::uuid_v5_url("millrace:online-retail:536365");
  const auto first = run(record_order(id));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(first->changed);
  const auto second = run(record_order(id));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_FALSE(second->changed);
  EXPECT_EQ(second->order.version, first->order.version);
  EXPECT_EQ(second->order.image, first->order.image);

  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "1");
  EXPECT_EQ(value("SELECT CONCAT(quantity, ' ', reserved) FROM inventory WHERE product_id = 'or-85123A'"),
            "0 0");
  EXPECT_EQ(value("SELECT CONCAT(created_at, ' ', user_email) FROM orders"),
            "2010-12-01 08:26:00.000 or-12345@history.example");

  // It reserved no stock, so it gives none back.
  ASSERT_TRUE(run(DeleteOrder{.order_id = OrderId(id), .admin_id = "online-retail-import"}));
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'or-85123A'"), "0");
}

TEST_F(OrderServiceTest, CarriesOutCommandsOfOneOrderInOneBatchInTheirOrder) {
  const std::string id = base::uuid_v5_url("one batch");
  std::promise<void> gate = hold_the_writer();
  auto recorded = submit(record_order(id));
  auto refunded = submit(ChangeOrder{
      .order_id = OrderId(id), .status = OrderStatus::kRefunded, .payment_status = PaymentStatus::kRefunded});
  auto deleted = submit(DeleteOrder{.order_id = OrderId(id), .admin_id = "admin-1"});
  auto repeated = submit(record_order(id));
  gate.set_value();

  const auto created = recorded.get();
  const auto changed = refunded.get();
  const auto removed = deleted.get();
  const auto again = repeated.get();
  ASSERT_TRUE(created && changed && removed && again);
  EXPECT_EQ(created->order.image.status, OrderStatus::kDelivered);
  EXPECT_LT(created->order.version, changed->order.version);
  EXPECT_LT(changed->order.version, removed->order.version);
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(commits_, 2);
  EXPECT_EQ(event(2).before, event(1).after);
  EXPECT_EQ(event(3).before, event(2).after);
  EXPECT_EQ(
      value(fmt::format(
          "SELECT CONCAT(status, ' ', version) FROM orders WHERE id = '{}' AND deleted_at IS NOT NULL", id)),
      fmt::format("REFUNDED {}", removed->order.version));
  EXPECT_EQ(value(fmt::format("SELECT status FROM payments WHERE order_id = '{}'", id)), "REFUNDED");
}

TEST_F(OrderServiceTest, ChangesTheOnePaymentThatItShowsAmongSeveralAttempts) {
  const ports::StoredOrder order = placed({{"prod-5", 1}});
  const std::string id = order.image.order_id.value();
  // The first attempt failed, so the shop began a second one.
  database_.run("UPDATE payments SET status = 'FAILED'");
  database_.run(
      fmt::format("INSERT INTO payments (id, order_id, amount, status, method, created_at) VALUES "
                  "('second', '{}', 49.99, 'PENDING', 'PAYPAL', UTC_TIMESTAMP(3) + INTERVAL 1 MINUTE)",
                  id));
  const auto paid = run(ordering::SettlePayment{.order_id = order.image.order_id,
                                                .status = PaymentStatus::kCompleted,
                                                .method = domain::PaymentMethod::kPaypal});
  ASSERT_TRUE(paid) << paid.error().message;
  const std::string payments = "SELECT GROUP_CONCAT(status ORDER BY created_at SEPARATOR ' ') FROM payments";
  EXPECT_EQ(value(payments), "FAILED COMPLETED");
  EXPECT_EQ(paid->order.image.payment_method, domain::PaymentMethod::kPaypal);
  const auto removed =
      run(DeleteOrder{.order_id = order.image.order_id, .admin_id = "admin-1", .traceparent = ""});
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_EQ(value(payments), "FAILED COMPLETED") << "a deletion leaves payments as they are";
}

TEST_F(OrderServiceTest, KeepsOneBadCommandFromHurtingTheRestOfItsBatch) {
  std::promise<void> gate = hold_the_writer();
  auto good = submit(place_order({{"prod-1", 1}}));
  ImportOrder unfit = record_order(base::uuid_v5_url("unfit"));
  unfit.user.name = std::string(300, 'n');  // longer than the column, which only the database says
  auto bad = submit(unfit);
  auto other = submit(place_order({{"prod-2", 1}}));
  gate.set_value();

  EXPECT_TRUE(good.get());
  const auto refused = bad.get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid) << refused.error().message;
  EXPECT_TRUE(other.get());
  EXPECT_EQ(value("SELECT COUNT(*) FROM orders"), "3");
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "3");
}

TEST_F(OrderServiceTest, SetsStockButNeverBelowWhatIsReserved) {
  placed({{"prod-1", 10}});

  const auto raised = run(SetStock{.product_id = ProductId("prod-1"), .quantity = 500});
  ASSERT_TRUE(raised) << raised.error().message;
  ASSERT_TRUE(raised->stock);
  EXPECT_EQ(raised->stock->available(), 490);
  EXPECT_EQ(value("SELECT CONCAT(quantity, ' ', reserved) FROM inventory WHERE product_id = 'prod-1'"),
            "500 10");
  EXPECT_FALSE(run(SetStock{.product_id = ProductId("prod-1"), .quantity = 500})->changed);
  EXPECT_EQ(run(SetStock{.product_id = ProductId("prod-1"), .quantity = 9}).error().kind,
            ErrorKind::kConflict);
  EXPECT_EQ(run(SetStock{.product_id = ProductId("prod-77"), .quantity = 9}).error().kind,
            ErrorKind::kNotFound);
  EXPECT_EQ(run(SetStock{.product_id = ProductId("prod-1"), .quantity = -1}).error().kind,
            ErrorKind::kInvalid);
}

TEST_F(OrderServiceTest, NeverSellsMoreThanThereIsToManyCustomersAtOnce) {
  service_.reset();
  start({.writers = 4});
  constexpr int kThreads = 8;
  constexpr int kOrdersEach = 60;
  std::atomic<int> accepted = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> customers;
  for (int t = 0; t < kThreads; ++t) {
    customers.emplace_back([&, t] {
      std::vector<std::future<base::Result<Outcome>>> answers;
      for (int i = 0; i < kOrdersEach; ++i) {
        // Both orders of the same two products, so that writers that do not sort their locks would deadlock.
        auto items = i % 2 == 0
                         ? std::vector<std::pair<std::string, std::int64_t>>{{"prod-1", 1}, {"prod-2", 1}}
                         : std::vector<std::pair<std::string, std::int64_t>>{{"prod-2", 1}, {"prod-1", 1}};
        answers.push_back(submit(place_order(std::move(items), fmt::format("user-{}", t % 3 + 1))));
      }
      for (auto& answer : answers) {
        const auto outcome = answer.get();
        if (outcome) {
          ++accepted;
        } else {
          EXPECT_EQ(outcome.error().kind, ErrorKind::kConflict) << outcome.error().message;
          ++refused;
        }
      }
    });
  }
  for (std::thread& customer : customers) customer.join();

  EXPECT_EQ(accepted, 100);
  EXPECT_EQ(refused, kThreads * kOrdersEach - 100);
  EXPECT_EQ(value("SELECT COUNT(*) FROM orders"), "100");
  EXPECT_EQ(value("SELECT COUNT(DISTINCT aggregate_id) FROM outbox"), "100");
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "100");
  EXPECT_EQ(value("SELECT COUNT(*) FROM order_items"), "200");
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'prod-1'"), "100");
  EXPECT_EQ(value("SELECT SUM(total_amount) FROM orders"), "132998.00");
}

TEST_F(OrderServiceTest, NeverTurnsACompletedPaymentIntoAFailedOne) {
  for (const OrderStatus status : {OrderStatus::kPending, OrderStatus::kShipped, OrderStatus::kDelivered}) {
    const OrderId id = placed({{"prod-1", 1}}).image.order_id;
    ASSERT_TRUE(run(ChangeOrder{.order_id = id, .status = status}));
    // Both callers saw the payment PENDING.
    const ChangeOrder completed{.order_id = id,
                                .status = status,
                                .payment_status = PaymentStatus::kCompleted,
                                .expected_status = status};
    ChangeOrder failed = completed;
    failed.payment_status = PaymentStatus::kFailed;

    ASSERT_TRUE(run(completed));
    const auto refused = run(failed);

    ASSERT_FALSE(refused) << domain::to_string(status);
    EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
    EXPECT_EQ(value(fmt::format("SELECT status FROM payments WHERE order_id = '{}'", id.value())),
              "COMPLETED");
  }
}

TEST_F(OrderServiceTest, TriesAgainAfterADeadlockUntilItSucceeds) {
  const ports::StoredOrder order = placed({{"prod-1", 1}, {"prod-2", 1}});
  // Another program locks stock first and then the order: the opposite of ours.
  const auto other = Connection::open(database_.address(), database_.address().database,
                                      adapters::mysql::Isolation::kReadCommitted, base::Deadline::in(5s));
  ASSERT_TRUE(other);
  ASSERT_TRUE((*other)->command("START TRANSACTION", base::Deadline::in(5s)));
  ASSERT_TRUE(
      (*other)->command("UPDATE inventory SET updated_at = UTC_TIMESTAMP(3)", base::Deadline::in(5s)));
  auto deleting = submit(DeleteOrder{.order_id = order.image.order_id, .admin_id = "admin-1"});
  // Ours holds the order and waits for stock as soon as the order cannot be locked without waiting.
  // The server's view of its locks is refreshed only for those who ask less than ten times a second.
  const base::Deadline deadline = base::Deadline::in(5s);
  while (database_.value(
             "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") == "0" &&
         !deadline.passed())
    std::this_thread::sleep_for(120ms);
  // One of the two is chosen as the victim; either way both end.
  (void)(*other)->command(
      fmt::format("UPDATE orders SET updated_at = updated_at WHERE id = '{}'", order.image.order_id.value()),
      base::Deadline::in(5s));
  (void)(*other)->command("ROLLBACK", base::Deadline::in(5s));

  const auto deleted = deleting.get();
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_EQ(value("SELECT SUM(reserved) FROM inventory"), "0");
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "2");
}

TEST_F(OrderServiceTest, AnswersEveryCommandWhenItStops) {
  std::vector<std::future<base::Result<Outcome>>> answers;
  for (int i = 0; i < 50; ++i) answers.push_back(submit(place_order({{"prod-1", 1}})));
  service_->stop();
  for (auto& answer : answers) EXPECT_TRUE(answer.get());
  EXPECT_EQ(run(place_order({{"prod-1", 1}})).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(value("SELECT COUNT(*) FROM orders"), "50");
}

TEST_F(OrderServiceTest, KeepsEveryAcknowledgedOrderOnceWhenTheServerIsKilledUnderLoad) {
  database_.run("UPDATE inventory SET quantity = 1000000");
  service_.reset();
  start({.writers = 2, .command_timeout = 30s});
  std::atomic<bool> enough = false;
  std::mutex mutex;
  std::set<std::string> acknowledged;
  std::vector<std::thread> customers;
  for (int t = 0; t < 8; ++t) {
    customers.emplace_back([&] {
      while (!enough) {
        const auto outcome = run(place_order({{"prod-1", 1}, {"prod-2", 2}}));
        if (!outcome) continue;
        const std::lock_guard lock(mutex);
        acknowledged.insert(outcome->order.image.order_id.value());
      }
    });
  }
  const auto acknowledged_count = [&] {
    const std::lock_guard lock(mutex);
    return acknowledged.size();
  };
  for (int round = 0; round < 3; ++round) {
    const std::size_t before = acknowledged_count();
    const base::Deadline deadline = base::Deadline::in(20s);
    while (acknowledged_count() < before + 200 && !deadline.passed()) std::this_thread::sleep_for(5ms);
    EXPECT_GE(acknowledged_count(), before + 200);
    support::MariadbServer::get().kill();
    support::MariadbServer::get().start();
  }
  enough = true;
  for (std::thread& customer : customers) customer.join();

  const auto connection =
      Connection::open(database_.address(), database_.address().database,
                       adapters::mysql::Isolation::kReadCommitted, base::Deadline::in(5s));
  ASSERT_TRUE(connection);
  std::set<std::string> stored;
  ASSERT_TRUE((*connection)
                  ->query(
                      "SELECT id FROM orders", {},
                      [&](adapters::mysql::Row row) -> base::Result<void> {
                        stored.emplace(*row[0]);
                        return {};
                      },
                      base::Deadline::in(20s)));
  // Every submit was answered with success in the end, so neither more nor fewer orders than answers may be
  // there.
  EXPECT_EQ(stored, acknowledged);
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), std::to_string(acknowledged.size()));
  EXPECT_EQ(value("SELECT COUNT(DISTINCT aggregate_id) FROM outbox"), std::to_string(acknowledged.size()));
  EXPECT_EQ(value("SELECT COUNT(*) FROM payments"), std::to_string(acknowledged.size()));
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'prod-2'"),
            std::to_string(acknowledged.size() * 2));
}

}  // namespace
}  // namespace millrace
