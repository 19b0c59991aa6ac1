// verify while orders are made, changed and deleted, with a small pipeline of the test's own that lags behind
// and writes base rows before their sums.
#include <atomic>
#include <map>
#include <thread>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/mysql_sql_reader.h"
#include "base/bounded_queue.h"
#include "base/utc_time.h"
#include "integration/verify/two_sides.h"
#include "verify/verify.h"

namespace millrace::verify {
namespace {

using namespace std::chrono_literals;

std::int64_t now_ms() {
  return base::to_ms(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
}

struct Committed {
  SampleOrder order;
  std::optional<SampleOrder> before;
};

/// Makes orders, ships them and deletes some, for as long as it lives; every change goes to MySQL with its
/// event, and then to `out`.
class Traffic {
 public:
  Traffic(TwoSides& sides, base::BoundedQueue<Committed>& out)
      : sides_(sides), out_(out), thread_([this] { run(); }) {}
  ~Traffic() {
    stop_ = true;
    thread_.join();
    out_.close();
  }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  [[nodiscard]] std::uint64_t changes() const { return changes_; }

 private:
  void run() {
    std::vector<SampleOrder> living;
    std::uint64_t number = 0;
    while (!stop_) {
      Committed next;
      if (number % 3 == 1 && living.size() > 5) {
        next.before = living[number % living.size()];
        next.order = *next.before;
        next.order.status = next.order.status == "PENDING" ? "SHIPPED" : "CANCELLED";
      } else if (number % 7 == 3 && living.size() > 5) {
        next.before = living.back();
        next.order = living.back();
        next.order.deleted_ms = now_ms();
      } else {
        next.order.id = fmt::format("0199{:04x}-0000-7000-8000-000000000000", number);
        next.order.user_id = fmt::format("user-{}", 1 + number % 3);
        next.order.user_email = "live@example.com";
        next.order.created_ms = now_ms();
        next.order.status = "PENDING";
        next.order.method = "CASH";
        next.order.payment_status = "PENDING";
        next.order.lines = {
            {.product_id = "prod-1", .product_name = "Lamp", .quantity = 2, .price = 123'400}};
      }
      next.order.version = std::max(static_cast<std::uint64_t>(now_ms()), next.order.version + 1);
      sides_.store_with_event(next.order, next.before);
      std::erase_if(living, [&](const SampleOrder& order) { return order.id == next.order.id; });
      if (!next.order.deleted_ms) living.push_back(next.order);
      ++number;
      ++changes_;
      const base::Deadline deadline = base::Deadline::in(30s);
      while (!out_.try_push(std::move(next))) {
        if (deadline.passed()) return;
        std::this_thread::sleep_for(1ms);
      }
    }
  }

  TwoSides& sides_;
  base::BoundedQueue<Committed>& out_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> changes_ = 0;
  std::thread thread_;
};

/// Carries changes to the warehouse in batches: base rows, a pause, then the running sums of the touched
/// keys.
class Pipeline {
 public:
  Pipeline(TwoSides& sides, base::BoundedQueue<Committed>& in)
      : sides_(sides), in_(in), thread_([this] { run(); }) {}
  ~Pipeline() { thread_.join(); }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

 private:
  using RollupKey = std::tuple<std::string, std::string, std::int64_t, std::string, std::string>;
  struct Sums {
    std::int64_t orders = 0, sales = 0, quantity = 0, amount = 0;
  };

  void run() {
    while (!in_.drained()) {
      const auto batch = in_.pop_some(1'000, base::Deadline::in(100ms));
      if (batch.empty()) continue;
      std::this_thread::sleep_for(50ms);
      std::string base_rows;
      std::map<RollupKey, Sums*> touched;
      for (const Committed& change : batch) {
        base_rows += base_row(change.order);
        if (change.before) count(*change.before, -1, touched);
        if (!change.order.deleted_ms) count(change.order, 1, touched);
      }
      sides_.insert(
          "analytics.orders_analytics order_id user_id user_email order_date total_amount items_count status "
          "payment_method"
          " payment_status created_at version event_type deleted_at is_deleted",
          base_rows);
      std::this_thread::sleep_for(30ms);
      std::string sums_rows;
      ++upto_;
      for (const auto& [key, sums] : touched) {
        const auto& [dimension, leader, bucket, key1, key2] = key;
        sums_rows += fmt::format("{}\t{}\t{}\t{}\t{}\tlive\t{}\t{}\t{}\t{}\t{}{}.{:04}\n", dimension, leader,
                                 bucket, key1, key2, upto_, sums->orders, sums->sales, sums->quantity,
                                 sums->amount < 0 ? "-" : "", std::abs(sums->amount) / 10'000,
                                 std::abs(sums->amount) % 10'000);
      }
      sides_.insert(
          "analytics.rollups dimension leader bucket key1 key2 source upto order_count sale_count quantity "
          "amount",
          sums_rows);
    }
  }

  void count(const SampleOrder& order, std::int64_t sign, std::map<RollupKey, Sums*>& touched) {
    const std::int64_t second = order.created_ms / 1000;
    const std::int64_t hour = second / 3600 * 3600;
    const std::int64_t day = second / 86'400 * 86'400;
    const bool sale = order.status != "CANCELLED" && order.status != "REFUNDED";
    const auto add = [&](const RollupKey& key, std::int64_t orders, std::int64_t sales, std::int64_t quantity,
                         std::int64_t amount) {
      Sums& sums = sums_[key];
      sums.orders += sign * orders;
      sums.sales += sign * sales;
      sums.quantity += sign * quantity;
      sums.amount += sign * amount;
      touched[key] = &sums;
    };
    const std::int64_t total = order.total_cents() * 100;
    add({"hour_status", "", hour, order.status, ""}, 1, 0, 0, total);
    add({"day_user", "", day, order.user_id, ""}, 0, sale ? 1 : 0, 0, 0);
    add({"user_day", order.user_id, day, order.user_email, ""}, 1, sale ? 1 : 0, 0, total);
    for (const SampleLine& line : order.lines)
      add({"day_product", "", day, line.product_id, line.product_name}, 0, 0, line.quantity,
          line.quantity * line.price);
  }

  TwoSides& sides_;
  base::BoundedQueue<Committed>& in_;
  std::map<RollupKey, Sums> sums_;
  std::uint64_t upto_ = 0;
  std::thread thread_;
};

class VerifyLive : public testing::Test {
 protected:
  void SetUp() override {
    sides_.emplace();
    const auto orders = sample_orders(100);
    sides_->store_orders(orders);
    sides_->load_base(orders);
    sides_->load_rollups();
  }

  /// Verifies in the middle of the traffic.
  VerifyReport verify_in_traffic() {
    base::BoundedQueue<Committed> queue(1'000);
    Pipeline pipeline(*sides_, queue);
    Traffic traffic(*sides_, queue);
    const base::Deadline warm = base::Deadline::in(30s);
    while (traffic.changes() < 20 && !warm.passed()) std::this_thread::sleep_for(10ms);
    VerifyOptions options;
    options.patience = 4s;
    options.recheck_pause = 50ms;
    options.chunk_rows = 37;
    adapters::mysql::MysqlSqlReader reader(sides_->database().address());
    const std::uint64_t before = traffic.changes();
    auto report = verify(reader, sides_->warehouse(), options, nullptr);
    EXPECT_GT(traffic.changes(), before);
    if (!report) {
      ADD_FAILURE() << report.error().message;
      return {};
    }
    return std::move(*report);
  }

  void plant(const std::string& bucket, std::int64_t orders, const std::string& amount) {
    sides_->run(
        fmt::format("INSERT INTO analytics.rollups VALUES ('hour_status', '', {}, 'PENDING', '', 'planted', "
                    "1, {}, 0, 0, {})",
                    bucket, orders, amount));
  }

  std::optional<TwoSides> sides_;
};

TEST_F(VerifyLive, CallsNothingADifferenceWhileThePipelineKeepsUp) {
  const VerifyReport report = verify_in_traffic();
  EXPECT_TRUE(report.clean()) << to_table(report);
  EXPECT_GT(report.rounds, 0U);
}

TEST_F(VerifyLive, FindsOneCentInAQuietKeyWhileOthersMove) {
  plant("(SELECT min(bucket) FROM analytics.rollups WHERE dimension = 'hour_status' AND key1 = 'PENDING')", 0,
        "0.01");
  const VerifyReport report = verify_in_traffic();
  EXPECT_EQ(report.differences_total(), 3U) << to_table(report);
  for (const TableReport& table : report.tables)
    EXPECT_EQ(table.differences, table.name == "daily_sales_mv" || table.name == "hourly_sales_mv" ||
                                     table.name == "order_status_mv")
        << to_table(report);
}

TEST_F(VerifyLive, FindsInAMovingKeyWhatNoChangeExplains) {
  plant("toStartOfHour(now('UTC'))", 1'000'000, "5000");
  const VerifyReport report = verify_in_traffic();
  EXPECT_EQ(report.differences_total(), 3U) << to_table(report);
}

TEST_F(VerifyLive, WaitsForAPipelineThatWasStandingStill) {
  base::BoundedQueue<Committed> queue(1'000);
  std::optional<Pipeline> late;
  std::uint64_t made = 0;
  {
    Traffic traffic(*sides_, queue);
    const base::Deadline deadline = base::Deadline::in(30s);
    while (traffic.changes() < 30 && !deadline.passed()) std::this_thread::sleep_for(10ms);
    made = traffic.changes();
  }
  ASSERT_GE(made, 30U);
  VerifyOptions options;
  options.patience = 30s;
  options.recheck_pause = 50ms;
  adapters::mysql::MysqlSqlReader reader(sides_->database().address());
  const auto report = verify(reader, sides_->warehouse(), options, [&](const VerifyProgress& progress) {
    if (progress.doing == "checking again" && progress.rows == 2 && !late) late.emplace(*sides_, queue);
  });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->clean()) << to_table(*report);
  EXPECT_EQ(report->in_motion_total(), 0U);
  EXPECT_TRUE(late.has_value());
}

}  // namespace
}  // namespace millrace::verify
