#include "ordering/batch.h"

#include <deque>

#include <gtest/gtest.h>

#include "support/fake_order_store.h"

namespace millrace::ordering {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;
using domain::OrderId;
using domain::OrderStatus;
using domain::PaymentStatus;
using domain::ProductId;

class BatchTest : public testing::Test {
 protected:
  BatchTest() {
    store_.add_user("user-1");
    store_.add_product("prod-1", domain::Money::from_cents(1000), 10);
  }

  /// The outcomes of one batch of these commands, committed.
  std::vector<base::Result<Outcome>> run(std::vector<Command> commands,
                                         std::optional<std::uint64_t> version_maybe_committed = {}) {
    std::deque<Job> jobs;
    std::vector<Job*> pointers;
    for (Command& command : commands) {
      jobs.push_back({.command = command,
                      .done = {},
                      .deadline = base::Deadline::in(10s),
                      .order_id = id_of(command),
                      .version_maybe_committed = version_maybe_committed});
      pointers.push_back(&jobs.back());
    }
    auto transaction = store_.begin(base::Deadline::in(10s)).value();
    Batch batch(pointers);
    EXPECT_TRUE(batch.load(*transaction));
    batch.decide(now_);
    if (batch.has_writes()) {
      EXPECT_TRUE(batch.write(*transaction));
      EXPECT_TRUE(transaction->commit());
    }
    std::vector<base::Result<Outcome>> outcomes;
    for (std::size_t i = 0; i < jobs.size(); ++i) outcomes.push_back(batch.result(i));
    return outcomes;
  }
  base::Result<Outcome> run_one(Command command, std::optional<std::uint64_t> version_maybe_committed = {}) {
    return run({std::move(command)}, version_maybe_committed).front();
  }
  OrderId id_of(const Command& command) {
    if (const auto* change = std::get_if<ChangeOrder>(&command)) return change->order_id;
    if (const auto* payment = std::get_if<SettlePayment>(&command)) return payment->order_id;
    if (const auto* remove = std::get_if<DeleteOrder>(&command)) return remove->order_id;
    return OrderId("order-" + std::to_string(++ids_));
  }
  static PlaceOrder place(std::int64_t quantity, std::optional<OrderStatus> status = {}) {
    PlaceOrder order;
    order.user_id = domain::UserId("user-1");
    order.items = {{.product_id = ProductId("prod-1"), .quantity = quantity}};
    order.status = status;
    return order;
  }
  OrderId order_in(OrderStatus status, PaymentStatus payment = PaymentStatus::kPending) {
    const auto placed = run_one(place(1, status));
    EXPECT_TRUE(placed);
    ports::StoredOrder& stored = store_.orders.at(placed->order.image.order_id);
    stored.image.payment_status = payment;
    return stored.image.order_id;
  }
  static SettlePayment settle(const OrderId& id, PaymentStatus status) {
    return {.order_id = id, .status = status};
  }

  support::FakeOrderStore store_;
  base::UtcTime now_ = *base::parse_utc("2026-01-31T12:00:00Z");
  int ids_ = 0;
};

TEST_F(BatchTest, CommandsTakeEffectOneAfterTheOther) {
  const auto outcomes = run({place(6), place(6), place(4)});
  EXPECT_TRUE(outcomes[0]);
  ASSERT_FALSE(outcomes[1]);
  EXPECT_EQ(outcomes[1].error().kind, ErrorKind::kConflict);
  EXPECT_EQ(outcomes[1].error().message, "product prod-1: 6 asked, 4 left");
  EXPECT_TRUE(outcomes[2]);
  EXPECT_EQ(store_.shelves.at(ProductId("prod-1")).reserved, 10);
  EXPECT_EQ(store_.outbox.size(), 2U);
}

TEST_F(BatchTest, ACompletedPaymentConfirmsAnOrderThatAwaitsIt) {
  for (const OrderStatus status : {OrderStatus::kPending, OrderStatus::kPaymentProcessing}) {
    const auto paid = run_one(settle(order_in(status), PaymentStatus::kCompleted));
    ASSERT_TRUE(paid) << paid.error().message;
    EXPECT_TRUE(paid->changed);
    EXPECT_EQ(paid->order.image.status, OrderStatus::kPaymentConfirmed);
    EXPECT_EQ(paid->order.image.payment_status, PaymentStatus::kCompleted);
  }
}

TEST_F(BatchTest, APaymentLeavesTheStatusOfAnOrderOnItsWay) {
  for (const OrderStatus status : {OrderStatus::kPreparing, OrderStatus::kShipped, OrderStatus::kDelivered}) {
    const auto paid = run_one(settle(order_in(status), PaymentStatus::kCompleted));
    ASSERT_TRUE(paid);
    EXPECT_EQ(paid->order.image.status, status);
  }
  const auto failed = run_one(settle(order_in(OrderStatus::kPending), PaymentStatus::kFailed));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->order.image.status, OrderStatus::kPending);
  EXPECT_EQ(failed->order.image.payment_status, PaymentStatus::kFailed);
}

TEST_F(BatchTest, APaymentThatIsCompleteIsFinalAlsoWithinOneBatch) {
  for (const OrderStatus status : {OrderStatus::kPending, OrderStatus::kShipped, OrderStatus::kDelivered}) {
    const OrderId id = order_in(status);
    const auto outcomes =
        run({settle(id, PaymentStatus::kCompleted), settle(id, PaymentStatus::kFailed),
             settle(id, PaymentStatus::kCompleted),
             ChangeOrder{.order_id = id, .status = status, .payment_status = PaymentStatus::kFailed}});
    EXPECT_TRUE(outcomes[0]);
    for (const std::size_t index : {1U, 2U, 3U}) {
      ASSERT_FALSE(outcomes[index]) << index;
      EXPECT_EQ(outcomes[index].error().kind, ErrorKind::kConflict);
    }
    EXPECT_EQ(store_.orders.at(id).image.payment_status, PaymentStatus::kCompleted);
  }
}

TEST_F(BatchTest, AFailedPaymentMayBeTriedAgain) {
  const OrderId id = order_in(OrderStatus::kPending);
  ASSERT_TRUE(run_one(settle(id, PaymentStatus::kFailed)));
  const auto again = run_one(settle(id, PaymentStatus::kFailed));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->changed);
  EXPECT_TRUE(run_one(settle(id, PaymentStatus::kCompleted)));
}

TEST_F(BatchTest, RefusesPaymentsThatAreNotTheOrders) {
  const OrderId id = order_in(OrderStatus::kPending);
  SettlePayment payment = settle(id, PaymentStatus::kCompleted);
  payment.amount = domain::Money::from_cents(999);
  EXPECT_EQ(run_one(payment).error().kind, ErrorKind::kInvalid);
  payment.amount = domain::Money::from_cents(1000);
  payment.method = domain::PaymentMethod::kCash;
  EXPECT_EQ(run_one(payment).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(run_one(settle(OrderId("nothing"), PaymentStatus::kCompleted)).error().kind,
            ErrorKind::kNotFound);
  EXPECT_EQ(run_one(settle(id, PaymentStatus::kRefunded)).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(run_one(settle(order_in(OrderStatus::kCancelled), PaymentStatus::kCompleted)).error().kind,
            ErrorKind::kConflict);
  ASSERT_TRUE(run_one(DeleteOrder{.order_id = id, .admin_id = "admin-1"}));
  EXPECT_EQ(run_one(settle(id, PaymentStatus::kCompleted)).error().kind, ErrorKind::kNotFound);
}

TEST_F(BatchTest, KnowsItsOwnPaymentAgainAfterALostAnswer) {
  const OrderId id = order_in(OrderStatus::kShipped);
  const auto paid = run_one(settle(id, PaymentStatus::kCompleted));
  ASSERT_TRUE(paid);
  const auto again = run_one(settle(id, PaymentStatus::kCompleted), paid->order.version);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->changed);
  EXPECT_EQ(store_.outbox.size(), 2U) << "the creation and one change";
}

TEST_F(BatchTest, ARefundedPaymentStaysRefunded) {
  const OrderId id = order_in(OrderStatus::kDelivered, PaymentStatus::kCompleted);
  ASSERT_TRUE(run_one(ChangeOrder{
      .order_id = id, .status = OrderStatus::kRefunded, .payment_status = PaymentStatus::kRefunded}));
  EXPECT_EQ(run_one(ChangeOrder{.order_id = id,
                                .status = OrderStatus::kRefunded,
                                .payment_status = PaymentStatus::kCompleted})
                .error()
                .kind,
            ErrorKind::kConflict);
  EXPECT_EQ(store_.shelves.at(ProductId("prod-1")).reserved, 0);
}

}  // namespace
}  // namespace millrace::ordering
