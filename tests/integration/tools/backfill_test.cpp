// Orders that were there before the pipeline, backfilled through the real order service into a real database.
#include "tools/backfill.h"

#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/mysql_order_store.h"
#include "adapters/system/system_clock.h"
#include "domain/order_event.h"
#include "ordering/order_service.h"
#include "support/mariadb_fixture.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using tools::BackfillOptions;
using tools::BackfillReport;

constexpr int kOrders = 300;

class BackfillTest : public testing::Test {
 protected:
  BackfillTest() {
    // As a program inserts them that knows nothing of versions, e-mails and product names in its tables.
    for (int i = 0; i < kOrders; ++i) {
      const std::string id = fmt::format("old-{:03}", i);
      database_.run(
          fmt::format("INSERT INTO orders (id, user_id, total_amount, status, created_at, updated_at, "
                      "deleted_at) VALUES ('{}', 'user-{}', {}.50, '{}', '2025-03-{:02} 10:00:00', "
                      "'2025-04-01 00:00:00', {})",
                      id, i % 3 + 1, i + 1, i % 4 == 0 ? "CANCELLED" : "DELIVERED", i % 28 + 1,
                      i % 10 == 0 ? "'2025-05-01 12:00:00'" : "NULL"));
      database_.run(
          fmt::format("INSERT INTO order_items (order_id, product_id, quantity, price) VALUES ('{}', "
                      "'prod-{}', {}, 2.50), ('{}', 'prod-1', 1, 3.00)",
                      id, i % 6 + 1, i % 5 + 1, id));
    }
    // Two payments of one order, which must stay as they are.
    database_.run(
        "INSERT INTO payments (id, order_id, amount, status, method, created_at, updated_at) VALUES "
        "('pay-1', 'old-001', 2.50, 'FAILED', 'CASH', '2025-03-02 10:00:00', '2025-03-02 10:00:00'), "
        "('pay-2', 'old-001', 2.50, 'COMPLETED', 'CASH', '2025-03-02 11:00:00', '2025-03-02 11:00:00')");
  }

  base::Result<BackfillReport> backfill(const base::StopSignal& stop = base::StopSignal(),
                                        const tools::OnImportProgress& on_progress = {}) {
    adapters::mysql::MysqlOrderStore store(database_.address());
    ordering::OrderService service(store, clock_, {}, [] {});
    const auto submit = [&](ordering::Command command, ordering::OnDone done) {
      service.submit(std::move(command), std::move(done));
    };
    BackfillOptions options;
    options.orders_max = 64;
    options.dispatch.in_flight_max = 32;
    options.dispatch.progress_interval = 1ms;
    return tools::backfill(store, submit, options, stop, on_progress);
  }
  [[nodiscard]] std::string value(const std::string& select) const {
    return database_.value("SELECT " + select);
  }
  /// Each order has one creation, a deleted one a deletion behind it, and its last event its version.
  void expect_each_backfilled_once() const {
    EXPECT_EQ(value("COUNT(*) FROM orders WHERE version = 0"), "0");
    EXPECT_EQ(value("COUNT(*) FROM outbox WHERE event_type = 'OrderCreated'"), std::to_string(kOrders));
    EXPECT_EQ(value("COUNT(DISTINCT aggregate_id) FROM outbox WHERE event_type = 'OrderCreated'"),
              std::to_string(kOrders));
    EXPECT_EQ(value("COUNT(*) FROM orders o WHERE version <> (SELECT MAX(CAST(JSON_VALUE(payload, "
                    "'$.version') AS UNSIGNED)) FROM outbox WHERE aggregate_id = o.id)"),
              "0");
  }

  support::TestDatabase database_;
  adapters::system::SystemClock clock_;
};

TEST_F(BackfillTest, SendsEachOrderOnceAndChangesNothingElseOfIt) {
  const std::string rows =
      "GROUP_CONCAT(CONCAT_WS('|', id, status, total_amount, updated_at, COALESCE(deleted_at, '-')) ORDER BY "
      "id) FROM orders";
  database_.run("SET SESSION group_concat_max_len = 1000000");
  const std::string before = value(rows);
  const std::string payments =
      value("GROUP_CONCAT(CONCAT_WS('|', id, status, updated_at) ORDER BY id) FROM payments");

  const auto report = backfill();

  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->backfilled, std::uint64_t{kOrders});
  EXPECT_EQ(report->refused, 0u);
  expect_each_backfilled_once();
  EXPECT_EQ(value("COUNT(*) FROM outbox WHERE event_type = 'OrderDeleted'"), std::to_string(kOrders / 10));
  EXPECT_EQ(value(rows), before);
  EXPECT_EQ(value("GROUP_CONCAT(CONCAT_WS('|', id, status, updated_at) ORDER BY id) FROM payments"),
            payments);
  EXPECT_EQ(value("COUNT(*) FROM orders o JOIN users u ON u.id = o.user_id WHERE o.user_email <> u.email"),
            "0");
  EXPECT_EQ(value("COUNT(*) FROM order_items WHERE product_name = ''"), "0");

  const auto deletion = domain::parse_order_event(
      value("payload FROM outbox WHERE aggregate_id = 'old-010' AND event_type = 'OrderDeleted'"));
  ASSERT_TRUE(deletion) << deletion.error().message;
  EXPECT_EQ(base::to_iso8601(deletion->deleted_at.value_or(deletion->occurred_at)),
            "2025-05-01T12:00:00.000Z");
  EXPECT_EQ(deletion->before->lines.at(0).product_name, "Backpack");

  const auto again = backfill();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->backfilled, 0u);
  expect_each_backfilled_once();
}

TEST_F(BackfillTest, GoesOnWhereItWasBrokenOff) {
  std::uint64_t backfilled = 0;
  for (int attempt = 0; attempt < 100 && value("COUNT(*) FROM orders WHERE version = 0") != "0"; ++attempt) {
    base::StopSignal stop;
    const auto report = backfill(stop, [&](const tools::ImportProgress& now) {
      if (now.done >= 50) stop.request();
    });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_LT(report->backfilled, std::uint64_t{kOrders});
    backfilled += report->backfilled;
  }
  EXPECT_EQ(backfilled, std::uint64_t{kOrders});
  expect_each_backfilled_once();
}

TEST_F(BackfillTest, NamesTheOrdersThatCannotBeSentAndSendsTheOthers) {
  database_.run("UPDATE order_items SET quantity = 2000000 WHERE order_id = 'old-007'");

  const auto report = backfill();

  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->backfilled, std::uint64_t{kOrders - 1});
  EXPECT_EQ(report->refused, 1u);
  ASSERT_EQ(report->refusals.size(), 1u);
  EXPECT_NE(report->refusals[0].find("old-007"), std::string::npos) << report->refusals[0];
  EXPECT_EQ(value("version FROM orders WHERE id = 'old-007'"), "0");

  database_.run("UPDATE order_items SET quantity = 2 WHERE order_id = 'old-007'");
  const auto again = backfill();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->backfilled, 1u);
  expect_each_backfilled_once();
}

TEST_F(BackfillTest, MeetsTheChangesOfTheSameOrdersWithoutSendingAnythingTwice) {
  adapters::mysql::MysqlOrderStore store(database_.address());
  ordering::OrderService service(store, clock_, {}, [] {});
  std::atomic<int> changed = 0;
  std::atomic<int> failed = 0;
  std::thread changes([&] {
    for (int i = kOrders - 1; i >= 0; --i) {
      const auto done = [&](const base::Result<ordering::Outcome>& outcome) {
        ++(outcome ? changed : failed);
      };
      const domain::OrderId id(fmt::format("old-{:03}", i));
      if (i % 4 == 1)
        service.submit(ordering::ChangeOrder{.order_id = id, .status = domain::OrderStatus::kRefunded}, done);
      if (i % 4 == 2) service.submit(ordering::DeleteOrder{.order_id = id, .admin_id = "admin-1"}, done);
    }
  });
  const auto report = backfill();
  changes.join();
  service.stop();

  ASSERT_TRUE(report) << report.error().message;
  // The orders that were deleted long ago refuse to change.
  EXPECT_EQ(changed + failed, kOrders / 2);
  expect_each_backfilled_once();
  // A creation comes before everything else of its order.
  EXPECT_EQ(
      value("COUNT(*) FROM outbox c JOIN outbox o ON o.aggregate_id = c.aggregate_id AND o.id < c.id WHERE "
            "c.event_type = 'OrderCreated'"),
      "0");
}

TEST_F(BackfillTest, IsNotNeededForAnOrderThatChangesFirst) {
  adapters::mysql::MysqlOrderStore store(database_.address());
  {
    ordering::OrderService service(store, clock_, {}, [] {});
    service.submit(ordering::DeleteOrder{.order_id = domain::OrderId("old-001"), .admin_id = "admin-1"},
                   [](const base::Result<ordering::Outcome>& outcome) {
                     EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().message);
                   });
  }
  EXPECT_EQ(value("GROUP_CONCAT(event_type ORDER BY id) FROM outbox WHERE aggregate_id = 'old-001'"),
            "OrderCreated,OrderDeleted");
  const auto created = domain::parse_order_event(
      value("payload FROM outbox WHERE aggregate_id = 'old-001' AND event_type = 'OrderCreated'"));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->after->user_email, "bob@example.com");
  EXPECT_EQ(created->after->payment_status, domain::PaymentStatus::kCompleted);
}

}  // namespace
}  // namespace millrace
