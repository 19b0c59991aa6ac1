#include <future>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/mysql_order_store.h"
#include "adapters/system/system_clock.h"
#include "base/uuid.h"
#include "ordering/order_service.h"
#include "support/commit_gate.h"
#include "support/mariadb_fixture.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using domain::OrderId;
using domain::OrderStatus;
using domain::ProductId;
using domain::UserId;
using ordering::Outcome;
using support::CommitFault;

/// Whatever happens to a commit, each command takes effect once and is answered as if nothing had happened.
class LostAnswers : public testing::TestWithParam<CommitFault> {
 protected:
  base::Result<Outcome> run(ordering::Command command) {
    auto promise = std::make_shared<std::promise<base::Result<Outcome>>>();
    service_.submit(std::move(command),
                    [promise](base::Result<Outcome> outcome) { promise->set_value(std::move(outcome)); });
    return promise->get_future().get();
  }
  base::Result<Outcome> run_with_fault(ordering::Command command) {
    gate_.arm(GetParam());
    auto outcome = run(std::move(command));
    EXPECT_TRUE(gate_.sprung());
    return outcome;
  }
  static ordering::PlaceOrder two_mice() {
    ordering::PlaceOrder place;
    place.user_id = UserId("user-1");
    place.items = {{.product_id = ProductId("prod-2"), .quantity = 2}};
    return place;
  }
  adapters::mysql::ServerAddress through_the_gate() {
    adapters::mysql::ServerAddress address = database_.address();
    address.port = gate_.port();
    return address;
  }
  std::string value(const std::string& select) { return database_.value(select); }

  support::TestDatabase database_;
  support::CommitGate gate_{database_.address().port};
  adapters::system::SystemClock clock_;
  adapters::mysql::MysqlOrderStore store_{through_the_gate()};
  ordering::OrderService service_{store_, clock_, {}, {}};
};

TEST_P(LostAnswers, NeverDoubleAPlacedOrder) {
  const auto placed = run_with_fault(two_mice());

  ASSERT_TRUE(placed) << placed.error().message;
  EXPECT_TRUE(placed->changed);
  EXPECT_EQ(value("SELECT GROUP_CONCAT(id) FROM orders"), placed->order.image.order_id.value());
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM order_items"), "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM payments"), "1");
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'prod-2'"), "2");
  EXPECT_EQ(value("SELECT version FROM orders"), std::to_string(placed->order.version));
}

TEST_P(LostAnswers, NeverDoubleAChange) {
  const auto placed = run(two_mice());
  ASSERT_TRUE(placed);

  const auto changed = run_with_fault(ordering::ChangeOrder{.order_id = placed->order.image.order_id,
                                                            .status = OrderStatus::kCancelled,
                                                            .expected_status = OrderStatus::kPending});

  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_TRUE(changed->changed);
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox WHERE event_type = 'OrderStatusChanged'"), "1");
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'prod-2'"), "0");
  EXPECT_EQ(value("SELECT version FROM orders"), std::to_string(changed->order.version));
}

TEST_P(LostAnswers, NeverDoubleADeletion) {
  const auto placed = run(two_mice());
  ASSERT_TRUE(placed);

  const auto deleted =
      run_with_fault(ordering::DeleteOrder{.order_id = placed->order.image.order_id, .admin_id = "admin-1"});

  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_TRUE(deleted->changed);
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox WHERE event_type = 'OrderDeleted'"), "1");
  EXPECT_EQ(value("SELECT reserved FROM inventory WHERE product_id = 'prod-2'"), "0");
}

TEST_P(LostAnswers, NeverDoubleARecordedOrder) {
  ordering::ImportOrder record;
  const base::UtcTime time = *base::parse_utc("2011-01-05T10:00:00Z");
  record.user.id = UserId("or-1");
  record.user.email = "or-1@h.example";
  record.user.name = "or-1";
  record.user.created_at = record.user.updated_at = time;
  record.order.image.order_id = OrderId(base::uuid_v5_url("lost answer"));
  record.order.image.user_id = record.user.id;
  record.order.image.user_email = record.user.email;
  record.order.image.status = OrderStatus::kDelivered;
  record.order.image.created_at = record.order.updated_at = time;
  record.order.image.lines = {{.product_id = ProductId("prod-1"),
                               .product_name = "Laptop",
                               .quantity = 1,
                               .price = domain::Money::from_cents(100)}};
  record.order.image.total_amount = domain::Money::from_cents(100);

  const auto recorded = run_with_fault(record);

  ASSERT_TRUE(recorded) << recorded.error().message;
  EXPECT_TRUE(recorded->changed);
  EXPECT_EQ(value("SELECT COUNT(*) FROM orders"), "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM outbox"), "1");
  EXPECT_FALSE(run(record)->changed);
}

INSTANTIATE_TEST_SUITE_P(OfEveryKind, LostAnswers,
                         testing::Values(CommitFault::kLost, CommitFault::kAnswerLost, CommitFault::kLate),
                         [](const testing::TestParamInfo<CommitFault>& fault) {
                           switch (fault.param) {
                             case CommitFault::kLost:
                               return "CommitLost";
                             case CommitFault::kAnswerLost:
                               return "AnswerLost";
                             default:
                               return "CommitLate";
                           }
                         });

}  // namespace
}  // namespace millrace
