#include <array>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/mysql_order_store.h"
#include "adapters/system/system_clock.h"
#include "support/mariadb_fixture.h"
#include "tools/import_online_retail.h"

namespace millrace::tools {
namespace {

using namespace std::chrono_literals;

constexpr int kInvoices = 400;

/// Invoices of three lines each of 20 customers; every 7th is returned as a whole, every 5th in part.
std::string made_file() {
  std::string file =
      "invoice_no,stock_code,description,quantity,invoice_date,unit_price,customer_id,country\n";
  std::string returns;
  for (int i = 0; i < kInvoices; ++i) {
    const int number = 536'000 + i;
    const std::string customer = i % 11 == 0 ? "" : std::to_string(12'000 + i % 20);
    const std::string rest = fmt::format("2011-{:02}-{:02} 10:{:02}:00", i / 40 + 1, i % 28 + 1, i % 60);
    for (int line = 0; line < 3; ++line) {
      const auto row = [&](std::string_view prefix, int quantity, std::string_view date) {
        return fmt::format("{}{},P{:02},\"NAME, OF {}\",{},{},{}.{:03},{},France\n", prefix, number,
                           (i + line * 7) % 30, (i + line * 7) % 30, quantity, date, i % 9 + 1, i % 1'000,
                           customer);
      };
      file += row("", i % 4 + line + 2, rest);
      if (i % 7 == 0) returns += row("C", -(i % 4 + line + 2), "2011-12-01 09:00:00");
      if (i % 7 != 0 && i % 5 == 0 && line == 1) returns += row("C", -1, "2011-12-01 09:00:00");
    }
  }
  return file + returns;
}

class ImportIntoOrderStore : public testing::Test {
 protected:
  base::Result<ImportReport> import(const base::StopSignal& stop = base::StopSignal(),
                                    const OnImportProgress& on_progress = {}) {
    const auto source = bytes_of_text(made_file());
    adapters::mysql::MysqlOrderStore store(database_.address());
    ordering::OrderService service(store, clock_, {}, [] {});
    ImportOptions options;
    options.progress_interval = 1ms;
    const auto submit = [&](ordering::Command command, ordering::OnDone done) {
      service.submit(std::move(command), std::move(done));
    };
    return import_online_retail(*source, options, submit, stop, on_progress);
  }

  /// The tables hold the history of the file, and one event for each thing that happened.
  void expect_complete() {
    const auto source = bytes_of_text(made_file());
    const RetailHistory history = *read_online_retail(*source);
    std::array<std::uint64_t, 3> fates{};
    domain::Money total;
    for (const RetailOrder& order : history.orders) {
      ++fates.at(static_cast<std::size_t>(order.fate));
      if (order.fate == Fate::kKept) total += retail_image(history, order).total_amount;
    }
    ASSERT_GT(fates[1], 20u);
    ASSERT_GT(fates[2], 20u);
    const auto value = [&](const std::string& select) { return database_.value("SELECT " + select); };
    const std::string refunded =
        " FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.deleted_at IS "
        "NULL AND o.status = 'REFUNDED' AND p.status = 'REFUNDED'";
    const std::string kept =
        " FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.deleted_at IS NULL "
        "AND o.status = 'DELIVERED' AND p.status = 'COMPLETED'";
    EXPECT_EQ(value("COUNT(*) FROM orders"), std::to_string(kInvoices));
    EXPECT_EQ(value("COUNT(*) FROM order_items"), std::to_string(kInvoices * 3));
    EXPECT_EQ(value("COUNT(*) FROM orders WHERE deleted_at IS NOT NULL AND status = 'DELIVERED'"),
              std::to_string(fates[2]));
    EXPECT_EQ(value("COUNT(*)" + refunded), std::to_string(fates[1]));
    EXPECT_EQ(value("COUNT(*)" + kept), std::to_string(fates[0]));
    EXPECT_EQ(value("SUM(o.total_amount)" + kept), total.text2());
    EXPECT_EQ(value("COUNT(*) FROM payments WHERE method = 'BANK_TRANSFER'"), std::to_string(kInvoices));
    EXPECT_EQ(value("COUNT(*) FROM users WHERE id LIKE 'or-%'"), "21");
    EXPECT_EQ(value("COUNT(*) FROM products WHERE id LIKE 'or-P%' AND name LIKE 'NAME, OF %'"), "30");
    EXPECT_EQ(value("COUNT(*) FROM outbox WHERE event_type = 'OrderCreated'"), std::to_string(kInvoices));
    EXPECT_EQ(value("COUNT(*) FROM outbox WHERE event_type = 'OrderStatusChanged'"),
              std::to_string(fates[1]));
    EXPECT_EQ(value("COUNT(*) FROM outbox WHERE event_type = 'OrderDeleted'"), std::to_string(fates[2]));
  }

  const support::TestDatabase database_;
  const adapters::system::SystemClock clock_;
};

TEST_F(ImportIntoOrderStore, WritesTheHistoryOnceHoweverOftenItRuns) {
  const auto first = import();
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(first->orders_new, static_cast<std::uint64_t>(kInvoices));
  expect_complete();
  const auto second = import();
  ASSERT_TRUE(second.has_value()) << second.error().message;
  EXPECT_EQ(second->orders, static_cast<std::uint64_t>(kInvoices));
  EXPECT_EQ(second->orders_new, 0u);
  EXPECT_EQ(second->changes_new, 0u);
  EXPECT_EQ(second->deleted, first->deleted);
  EXPECT_EQ(second->refunded, first->refunded);
  EXPECT_EQ(second->left_alone, 0u);
  expect_complete();
}

TEST_F(ImportIntoOrderStore, GoesOnWhereAStopHasBrokenItOff) {
  for (const std::uint64_t stop_at : {std::uint64_t{100}, std::uint64_t{kInvoices}}) {
    base::StopSignal stop;
    const auto stopped = import(stop, [&](const ImportProgress& progress) {
      if (progress.phase != ImportPhase::kReading && progress.done >= stop_at) stop.request();
    });
    ASSERT_TRUE(stopped.has_value()) << stopped.error().message;
    EXPECT_TRUE(stopped->stopped);
  }
  const auto report = import();
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_FALSE(report->stopped);
  expect_complete();
}

TEST_F(ImportIntoOrderStore, OutlastsADatabaseThatIsKilledInTheMiddle) {
  bool killed = false;
  const auto report = import(base::StopSignal(), [&](const ImportProgress& progress) {
    if (killed || progress.phase != ImportPhase::kOrders || progress.done < 50) return;
    killed = true;
    // On this thread: the server dies with the thread that started it.
    support::MariadbServer::get().kill();
    support::MariadbServer::get().start();
  });
  EXPECT_TRUE(killed);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_FALSE(report->stopped);
  expect_complete();
}

}  // namespace
}  // namespace millrace::tools
