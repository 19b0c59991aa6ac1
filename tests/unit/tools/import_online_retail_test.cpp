#include "tools/import_online_retail.h"

#include <map>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tools/progress.h"

namespace millrace::tools {
namespace {

using base::ErrorKind;
using ordering::Outcome;

/// Carries commands out as the order service promises, at once, with faults at chosen calls.
class Orders {
 public:
  enum class Fault { kNone, kNothingDone, kAnswerLost };

  void submit(ordering::Command command, ordering::OnDone done) {
    const std::size_t call = calls_++;
    const Fault fault = fault_at ? fault_at(call) : Fault::kNone;
    if (fault == Fault::kNothingDone) return done(base::unavailable("away"));
    auto outcome = std::visit([this](auto& kind) { return execute(kind); }, command);
    if (fault == Fault::kAnswerLost) return done(base::unavailable("the answer was lost"));
    done(std::move(outcome));
  }
  SubmitCommand submitter() {
    return [this](ordering::Command command, ordering::OnDone done) {
      submit(std::move(command), std::move(done));
    };
  }
  [[nodiscard]] std::size_t calls() const { return calls_; }

  std::function<Fault(std::size_t call)> fault_at;
  std::map<domain::OrderId, ports::StoredOrder> stored;
  std::set<domain::ProductId> products;
  std::vector<std::string> events;

 private:
  base::Result<Outcome> execute(const ordering::ImportOrder& command) {
    const domain::OrderImage& image = command.order.image;
    if (const auto found = stored.find(image.order_id); found != stored.end())
      return Outcome{found->second, false};
    for (const ports::Product& product : command.products) products.insert(product.id);
    for (const domain::OrderLine& line : image.lines)
      if (!products.contains(line.product_id))
        return base::not_found("no product " + line.product_id.value());
    EXPECT_EQ(command.user.id, image.user_id);
    stored[image.order_id] = command.order;
    events.push_back("created " + image.order_id.value());
    return Outcome{command.order};
  }
  base::Result<Outcome> execute(const ordering::ChangeOrder& command) {
    ports::StoredOrder& order = stored.at(command.order_id);
    if (order.deleted_at) return base::conflict("the order is deleted");
    if (order.image.status == command.status) return Outcome{order, false};
    order.image.status = command.status;
    order.image.payment_status = command.payment_status.value();
    events.push_back("changed " + command.order_id.value());
    return Outcome{order};
  }
  base::Result<Outcome> execute(const ordering::DeleteOrder& command) {
    EXPECT_EQ(command.admin_id, "online-retail-import");
    ports::StoredOrder& order = stored.at(command.order_id);
    if (order.deleted_at) return Outcome{order, false};
    order.deleted_at = base::utc_from_ms(1);
    events.push_back("deleted " + command.order_id.value());
    return Outcome{order};
  }
  base::Result<Outcome> execute(const ordering::PlaceOrder&) { return base::invalid("not of an import"); }
  base::Result<Outcome> execute(const ordering::SettlePayment&) { return base::invalid("not of an import"); }
  base::Result<Outcome> execute(const ordering::BackfillOrder&) { return base::invalid("not of an import"); }
  base::Result<Outcome> execute(const ordering::SetStock&) { return base::invalid("not of an import"); }

  std::size_t calls_ = 0;
};

/// Six orders: two are deleted, one is refunded; one return finds none.
const std::string kFile =
    "invoice_no,stock_code,description,quantity,invoice_date,unit_price,customer_id,country\n"
    "1,A,a,2,2011-01-01 10:00:00,1.5,7,X\n"
    "2,B,b,1,2011-01-02 10:00:00,2,7,X\n"
    "3,A,a,4,2011-01-03 10:00:00,1,7,X\n"
    "4,C,c,1,2011-01-04 10:00:00,9,8,X\n"
    "5,A,a,1,2011-01-05 10:00:00,1,,X\n"
    "6,D,d,1,2011-01-06 10:00:00,5,8,X\n"
    "6,D,d,0,2011-01-06 10:00:00,5,8,X\n"
    "C7,A,a,-1,2011-01-07 10:00:00,1,7,X\n"
    "C8,A,a,-2,2011-01-08 10:00:00,1.5,7,X\n"
    "C9,C,c,-1,2011-01-08 10:00:00,9,8,X\n"
    "C10,Z,z,-1,2011-01-08 10:00:00,9,8,X\n";

ImportOptions quick() {
  ImportOptions options;
  options.in_flight_max = 2;
  options.retry_first = options.retry_longest = std::chrono::milliseconds(1);
  return options;
}

base::Result<ImportReport> import(Orders& orders, const ImportOptions& options = quick(),
                                  const base::StopSignal& stop = base::StopSignal(),
                                  const OnImportProgress& on_progress = {}) {
  const auto source = bytes_of_text(kFile);
  return import_online_retail(*source, options, orders.submitter(), stop, on_progress);
}

void expect_complete(const Orders& orders) {
  ASSERT_EQ(orders.stored.size(), 6u);
  const auto state = [&](const std::string& number) {
    RetailOrder order;
    order.invoice_no = number;
    const ports::StoredOrder& found = orders.stored.at(retail_order_id(order));
    return std::string(to_string(found.image.status)) + " " +
           std::string(to_string(found.image.payment_status)) + (found.deleted_at ? " deleted" : "");
  };
  EXPECT_EQ(state("1"), "DELIVERED COMPLETED deleted");
  EXPECT_EQ(state("2"), "DELIVERED COMPLETED");
  EXPECT_EQ(state("3"), "REFUNDED REFUNDED");
  EXPECT_EQ(state("4"), "DELIVERED COMPLETED deleted");
  EXPECT_EQ(state("5"), "DELIVERED COMPLETED");
  EXPECT_EQ(state("6"), "DELIVERED COMPLETED");
  EXPECT_EQ(orders.events.size(), 9u) << "each order is created once, and three are changed once";
}

TEST(ImportOnlineRetail, RecordsOrdersFirstAndCarriesReturnsOutAfterwards) {
  Orders orders;
  const auto report = import(orders);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  expect_complete(orders);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_TRUE(orders.events[i].starts_with("created"));
  EXPECT_EQ(report->orders, 6u);
  EXPECT_EQ(report->orders_new, 6u);
  EXPECT_EQ(report->lines, 6u);
  EXPECT_EQ(report->deleted, 2u);
  EXPECT_EQ(report->refunded, 1u);
  EXPECT_EQ(report->changes_new, 3u);
  EXPECT_EQ(report->unmatched, 1u);
  EXPECT_EQ(report->skips.quantity_lines, 1u);
  EXPECT_EQ(report->left_alone, 0u);
  EXPECT_FALSE(report->stopped);
}

TEST(ImportOnlineRetail, ChangesNothingTheSecondTime) {
  Orders orders;
  ASSERT_TRUE(import(orders).has_value());
  const auto report = import(orders);
  ASSERT_TRUE(report.has_value());
  expect_complete(orders);
  EXPECT_EQ(report->orders, 6u);
  EXPECT_EQ(report->orders_new, 0u);
  EXPECT_EQ(report->deleted, 2u);
  EXPECT_EQ(report->refunded, 1u);
  EXPECT_EQ(report->changes_new, 0u);
}

TEST(ImportOnlineRetail, CompletesExactlyWhatIsMissingAfterBreakingOffAtAnyCommand) {
  for (std::size_t n = 0; n < 9; ++n)
    for (const Orders::Fault last : {Orders::Fault::kNothingDone, Orders::Fault::kAnswerLost}) {
      Orders orders;
      ImportOptions options = quick();
      options.outage_max = std::chrono::milliseconds(3);
      orders.fault_at = [&](std::size_t call) {
        return call < n ? Orders::Fault::kNone : call == n ? last : Orders::Fault::kNothingDone;
      };
      const auto broken_off = import(orders, options);
      ASSERT_FALSE(broken_off.has_value());
      EXPECT_EQ(broken_off.error().kind, ErrorKind::kUnavailable);
      orders.fault_at = nullptr;
      const auto report = import(orders);
      ASSERT_TRUE(report.has_value()) << report.error().message;
      expect_complete(orders);
      EXPECT_EQ(report->orders, 6u);
      EXPECT_EQ(report->deleted, 2u);
      EXPECT_EQ(report->refunded, 1u);
    }
}

TEST(ImportOnlineRetail, TriesAgainWhatWasUnavailableUntilItIsDone) {
  Orders orders;
  orders.fault_at = [](std::size_t call) {
    return call % 3 == 0   ? Orders::Fault::kNothingDone
           : call % 3 == 1 ? Orders::Fault::kAnswerLost
                           : Orders::Fault::kNone;
  };
  const auto report = import(orders);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  expect_complete(orders);
  EXPECT_EQ(report->orders, 6u);
  EXPECT_EQ(report->refunded, 1u);
}

TEST(ImportOnlineRetail, GivesUpSoonWhenNothingHasEverSucceeded) {
  Orders orders;
  orders.fault_at = [](std::size_t) { return Orders::Fault::kNothingDone; };
  ImportOptions options = quick();
  options.start_max = std::chrono::milliseconds(3);
  std::string waiting_for;
  const auto report = import(orders, options, base::StopSignal(), [&](const ImportProgress& progress) {
    if (!progress.waiting_for.empty()) waiting_for = progress.waiting_for;
  });
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(report.error().message, "nothing was done: away");
  EXPECT_EQ(waiting_for, "away");
}

TEST(ImportOnlineRetail, StopsBetweenOrdersAndGoesOnInTheNextRun) {
  for (std::size_t n = 0; n < 9; ++n) {
    Orders orders;
    base::StopSignal stop;
    orders.fault_at = [&](std::size_t call) {
      if (call == n) stop.request();
      return Orders::Fault::kNone;
    };
    const auto stopped = import(orders, quick(), stop);
    ASSERT_TRUE(stopped.has_value());
    EXPECT_EQ(stopped->stopped, n < 8);
    EXPECT_LE(orders.calls(), n + 1) << "nothing is sent after the stop";
    orders.fault_at = nullptr;
    ASSERT_TRUE(import(orders).has_value());
    expect_complete(orders);
  }
}

TEST(ImportOnlineRetail, SendsNothingOfABrokenFile) {
  Orders orders;
  const auto source = bytes_of_text(kFile + "11,A,a,many,2011-01-09 10:00:00,1,7,X\n");
  const auto report = import_online_retail(*source, quick(), orders.submitter(), base::StopSignal(), {});
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(report.error().message, "line 13: quantity 'many' is not a whole number");
  EXPECT_EQ(orders.calls(), 0u);
}

TEST(ImportOnlineRetail, LeavesOrdersAloneThatSomebodyHasChanged) {
  Orders orders;
  ASSERT_TRUE(import(orders).has_value());
  RetailOrder third;
  third.invoice_no = "3";
  orders.stored.at(retail_order_id(third)).image.status = domain::OrderStatus::kCancelled;
  RetailOrder fourth;
  fourth.invoice_no = "4";
  orders.stored.at(retail_order_id(fourth)).deleted_at = std::nullopt;
  orders.stored.at(retail_order_id(fourth)).image.status = domain::OrderStatus::kShipped;
  const std::size_t events = orders.events.size();
  const auto report = import(orders);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->left_alone, 2u);
  EXPECT_EQ(orders.events.size(), events);
}

TEST(ImportOnlineRetail, NamesTheInvoiceThatIsRefused) {
  const auto source = bytes_of_text(kFile);
  const SubmitCommand refuse = [](ordering::Command, ordering::OnDone done) {
    done(base::invalid("the data does not fit"));
  };
  const auto report = import_online_retail(*source, quick(), refuse, base::StopSignal(), {});
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(report.error().message, "invoice 1 cannot be recorded: the data does not fit");
}

TEST(ImportOnlineRetail, GivesUpOnAnOrderServiceThatNeverAnswers) {
  const auto source = bytes_of_text(kFile);
  ImportOptions options = quick();
  options.answer_max = std::chrono::milliseconds(5);
  std::vector<ordering::OnDone> kept;
  const SubmitCommand swallow = [&](ordering::Command, ordering::OnDone done) {
    kept.push_back(std::move(done));
  };
  const auto report = import_online_retail(*source, options, swallow, base::StopSignal(), {});
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().kind, ErrorKind::kFatal);
  EXPECT_EQ(kept.size(), 2u);
  for (const auto& done : kept) done(base::unavailable("much too late"));
}

TEST(ImportOnlineRetail, KeepsNoMoreInFlightThanAllowedWhenAnswersComeFromOtherThreads) {
  Orders orders;
  std::mutex mutex;
  std::size_t in_flight = 0;
  std::size_t in_flight_most = 0;
  std::vector<std::jthread> threads;
  const SubmitCommand submit = [&](ordering::Command command, ordering::OnDone done) {
    {
      const std::lock_guard lock(mutex);
      in_flight_most = std::max(in_flight_most, ++in_flight);
    }
    threads.emplace_back([&, command = std::move(command), done = std::move(done)]() mutable {
      std::optional<base::Result<Outcome>> answer;
      {
        const std::lock_guard lock(mutex);
        orders.submit(std::move(command),
                      [&](base::Result<Outcome> outcome) { answer = std::move(outcome); });
        --in_flight;
      }
      done(std::move(*answer));
    });
  };
  const auto source = bytes_of_text(kFile);
  const auto report = import_online_retail(*source, quick(), submit, base::StopSignal(), {});
  threads.clear();
  ASSERT_TRUE(report.has_value()) << report.error().message;
  expect_complete(orders);
  EXPECT_LE(in_flight_most, 2u);
}

TEST(ImportOnlineRetail, ReportsProgressToTheEndOfEachPhase) {
  Orders orders;
  std::vector<ImportProgress> seen;
  ASSERT_TRUE(import(orders, quick(), base::StopSignal(),
                     [&](const ImportProgress& progress) { seen.push_back(progress); }));
  for (const auto& [phase, total] :
       {std::pair(ImportPhase::kOrders, 6u), std::pair(ImportPhase::kReturns, 3u)}) {
    const auto last = std::ranges::find(seen.rbegin(), seen.rend(), phase, &ImportProgress::phase);
    ASSERT_NE(last, seen.rend());
    EXPECT_EQ(last->done, total);
    EXPECT_EQ(last->total, total);
  }
}

TEST(ImportOnlineRetail, ShowsProgressAndTheFinalTable) {
  EXPECT_EQ(
      progress_line({ImportPhase::kOrders, 5'000, 20'000, 132'500, 530'103, std::chrono::seconds(2), ""}),
      "orders  [######                  ] 5,000 of 20,000, 132,500 lines, 2,500/s, 6 s left");
  EXPECT_EQ(progress_line({ImportPhase::kReturns, 10, 10, 0, 0, std::chrono::seconds(75), ""}),
            "returns [########################] 10 of 10, 0/s, 1 min 15 s");
  EXPECT_EQ(progress_line({ImportPhase::kReturns, 0, 0, 0, 0, {}, ""}),
            "returns [########################] 0 of 0");
  EXPECT_EQ(
      progress_line({ImportPhase::kReturns, 1, 4, 0, 0, std::chrono::seconds(9), "the database is away"}),
      "returns [######                  ] 1 of 4, waiting: the database is away");
  ImportReport report;
  report.orders = 19'959;
  report.refunded = 2'353;
  report.elapsed = std::chrono::milliseconds(12'340);
  const std::string table = to_text(report);
  for (const std::string_view part :
       {"orders", "19959", "lines", "deleted", "refunded", "2353", "unmatched", "skipped", "12.3"})
    EXPECT_NE(table.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace millrace::tools
