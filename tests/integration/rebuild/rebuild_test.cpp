// Rebuilds on a real order store and the real engine, with orders coming in meanwhile, cut off at every step;
// `verify`, which shares no code with them, says whether the warehouse is right.
#include "rebuild/rebuild.h"

#include <atomic>
#include <fstream>
#include <functional>
#include <future>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "adapters/clickhouse/clickhouse_warehouse.h"
#include "adapters/curl/curl_http_client.h"
#include "adapters/memory/memory_event_log.h"
#include "adapters/mysql/mysql_order_store.h"
#include "adapters/mysql/mysql_outbox.h"
#include "adapters/mysql/mysql_sql_reader.h"
#include "adapters/system/system_clock.h"
#include "ordering/order_service.h"
#include "rebuild/replay.h"
#include "relay/relay.h"
#include "support/mariadb_fixture.h"
#include "support/warehouse_fixture.h"
#include "transform/transformer.h"
#include "verify/report.h"
#include "verify/verify.h"

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kPatience{60'000};
// Keys that never rest are looked at until it is over.
constexpr std::chrono::milliseconds kPatienceUnderTraffic{4'000};

base::Deadline soon() {
  return base::Deadline::in(kPatience);
}

rebuild::TableStatements statements() {
  std::ifstream file(MILLRACE_WAREHOUSE_SCHEMA_FILE);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::vector<std::string_view> parts;
  for (std::size_t from = 0, to = 0; (to = text.find(";\n", from)) != std::string::npos; from = to + 2)
    parts.push_back(std::string_view(text).substr(from, to - from));
  auto found = rebuild::table_statements(parts);
  EXPECT_TRUE(found) << (found ? "" : found.error().message);
  return found.value_or(rebuild::TableStatements{});
}

/// Passes statements on, notes those that move tables, and makes the n-th of them fail, or loses its answer.
class RecordingWarehouse final : public ports::Warehouse {
 public:
  enum class Fault { kNone, kFail, kLoseAnswer };
  explicit RecordingWarehouse(ports::Warehouse& real) : real_(real) {}

  void arm(std::size_t nth, Fault fault) {
    nth_ = nth;
    fault_ = fault;
    moved.clear();
  }
  std::vector<std::string> moved;

  base::Result<void> execute(std::string_view statement, std::span<const ports::QueryParameter> parameters,
                             base::Deadline deadline) override {
    if (!statement.starts_with("RENAME") && !statement.starts_with("EXCHANGE"))
      return real_.execute(statement, parameters, deadline);
    moved.emplace_back(statement);
    const bool strikes = moved.size() == nth_;
    if (strikes && fault_ == Fault::kFail) return base::unavailable("away");
    auto done = real_.execute(statement, parameters, deadline);
    if (strikes && fault_ == Fault::kLoseAnswer) return base::unavailable("the answer was lost");
    return done;
  }
  base::Result<std::string> query(std::string_view statement, std::string_view format,
                                  std::span<const ports::QueryParameter> parameters,
                                  base::Deadline deadline) override {
    return real_.query(statement, format, parameters, deadline);
  }
  base::Result<void> query_stream(std::string_view statement, std::string_view format,
                                  std::span<const ports::QueryParameter> parameters,
                                  const std::function<base::Result<void>(std::string_view)>& sink,
                                  base::Deadline deadline) override {
    return real_.query_stream(statement, format, parameters, sink, deadline);
  }
  base::Result<void> insert(std::string_view table, std::span<const std::string_view> columns,
                            std::string_view format, std::string_view data,
                            base::Deadline deadline) override {
    return real_.insert(table, columns, format, data, deadline);
  }
  base::Result<void> ping(base::Deadline deadline) override { return real_.ping(deadline); }

 private:
  ports::Warehouse& real_;
  std::size_t nth_ = 0;
  Fault fault_ = Fault::kNone;
};

/// An attempt that the process ends in: at the n-th save, before or after it took effect.
class CutAttempt final : public jobs::Attempt {
 public:
  CutAttempt(std::string& stored, std::size_t saves, bool last_takes_effect)
      : stored_(stored), checkpoint_(stored), saves_(saves), last_takes_effect_(last_takes_effect) {}

  const std::string& checkpoint() const override { return checkpoint_; }
  base::Result<void> save(std::string checkpoint) override {
    const bool cut = saves_ == 1;
    if (saves_ > 0) --saves_;
    if (!cut || last_takes_effect_) stored_ = checkpoint;
    checkpoint_ = std::move(checkpoint);
    if (cut) return base::unavailable("the process was ended here");
    return {};
  }
  void set_progress(std::string line) override { lines.push_back(std::move(line)); }
  const base::StopSignal& stop() const override { return signal; }

  base::StopSignal signal;
  std::vector<std::string> lines;

 private:
  std::string& stored_;
  std::string checkpoint_;
  std::size_t saves_;  // 0: never cut
  bool last_takes_effect_;
};

class RebuildTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    spdlog::set_level(spdlog::level::err);
    server_ = new support::WarehouseServer;
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  void SetUp() override {
    ASSERT_TRUE(real_.execute("DROP DATABASE IF EXISTS analytics", {}, soon()));
    support::WarehouseServer::create_schema(real_);
    database_.run("UPDATE inventory SET quantity = 1000000");
    for (const char* topic : {"order.events", "order.events-dlq", "orders_analytics", "orders_analytics-dlq"})
      ASSERT_TRUE(log_.ensure_topic(topic, 2, soon()));
    relay::Options relaying;
    relaying.partitions = 2;
    relaying.poll_interval_max = std::chrono::milliseconds(5);
    relay_ = std::make_unique<relay::Relay>(outbox_, log_, clock_, relaying);
    transformer_ = std::make_unique<transform::Transformer>(log_, clock_, transform::Options{});
    live_tables_ = std::make_unique<sink::WarehouseTables>(real_);
    sink_ = std::make_unique<sink::Sink>(log_, *live_tables_, clock_, sink_options());
    for (const std::function<base::Result<void>()>& stage :
         {std::function([this] { return relay_->run(stop_); }),
          std::function([this] { return transformer_->run(stop_); }),
          std::function([this] { return sink_->run(stop_); })})
      threads_.emplace_back([stage] {
        const auto ended = stage();
        EXPECT_TRUE(ended) << (ended ? "" : ended.error().message);
      });
  }
  void TearDown() override {
    traffic_ = false;
    if (buyer_.joinable()) buyer_.join();
    stop_.request();
    for (std::thread& thread : threads_) thread.join();
  }

  static sink::Options sink_options() {
    sink::Options options;
    options.max_delay = std::chrono::milliseconds(5);
    options.position_interval = std::chrono::milliseconds(20);
    options.idle_wait = std::chrono::milliseconds(20);
    options.cached_keys_max = 50;
    return options;
  }
  rebuild::Rebuild new_rebuild() {
    rebuild::Options options;
    options.sink = sink_options();
    options.chunk_orders = 20;
    options.slice_orders = 15;
    return {store_, log_, warehouse_, clock_, statements(), options};
  }
  std::string run_to_the_end() {
    std::string checkpoint;
    CutAttempt attempt(checkpoint, 0, true);
    auto outcome = new_rebuild().run({}, attempt);
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome.value_or("");
  }

  base::Result<ordering::Outcome> execute(ordering::Command command) {
    std::promise<base::Result<ordering::Outcome>> promise;
    orders_.submit(std::move(command),
                   [&](base::Result<ordering::Outcome> outcome) { promise.set_value(std::move(outcome)); });
    return promise.get_future().get();
  }
  /// Orders that are made, changed and deleted.
  void trade(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto kind = random_() % 5;
      if (kind < 3 || made_.empty()) {
        ordering::PlaceOrder place;
        place.user_id = domain::UserId(fmt::format("user-{}", random_() % 3 + 1));
        place.items = {{domain::ProductId(fmt::format("prod-{}", random_() % 6 + 1)),
                        static_cast<std::int64_t>(random_() % 3 + 1)}};
        const auto made = execute(std::move(place));
        ASSERT_TRUE(made) << made.error().message;
        made_.push_back(made->order.image.order_id);
      } else if (kind == 3) {
        ordering::ChangeOrder change;
        change.order_id = made_[random_() % made_.size()];
        change.status = static_cast<domain::OrderStatus>(random_() % 6);
        change.payment_status = domain::PaymentStatus::kCompleted;
        (void)execute(std::move(change));  // refused if it is deleted
      } else {
        (void)execute(
            ordering::DeleteOrder{.order_id = made_[random_() % made_.size()], .admin_id = "admin"});
      }
    }
  }
  void begin_traffic() {
    traffic_ = true;
    buyer_ = std::thread([this] {
      while (traffic_) {
        trade(1);
        std::this_thread::sleep_for(std::chrono::milliseconds(15));
      }
    });
  }
  void end_traffic() {
    traffic_ = false;
    if (buyer_.joinable()) buyer_.join();
  }

  std::string verified(std::chrono::milliseconds patience = std::chrono::milliseconds(20'000)) {
    adapters::mysql::MysqlSqlReader reader(database_.address());
    verify::VerifyOptions options;
    options.patience = patience;
    const auto report = verify::verify(reader, real_, options, [](const verify::VerifyProgress&) {});
    if (!report) return report.error().message;
    return report->clean() ? "clean" : verify::to_table(*report);
  }
  void wait_until_loaded() { ASSERT_EQ(verified(), "clean"); }
  void damage() {
    ASSERT_TRUE(real_.execute("TRUNCATE TABLE analytics.rollups", {}, soon()));
    ASSERT_TRUE(
        real_.execute("ALTER TABLE analytics.orders_analytics DELETE WHERE cityHash64(order_id) % 2 = "
                      "0 SETTINGS mutations_sync = 2",
                      {}, soon()));
  }
  std::string select(std::string_view query) {
    const auto answer = real_.query(query, "TabSeparated", {}, soon());
    EXPECT_TRUE(answer) << answer.error().message;
    return answer.value_or("");
  }
  std::string table_names() {
    return select(
        "SELECT arrayStringConcat(groupArray(name), ' ') FROM (SELECT name FROM system.tables WHERE database "
        "= "
        "'analytics' AND NOT endsWith(name, '_mv') ORDER BY name)");
  }

  static support::WarehouseServer* server_;
  support::TestDatabase database_;
  adapters::system::SystemClock clock_;
  adapters::mysql::MysqlOrderStore store_{database_.address(), {.connections_max = 6}};
  adapters::mysql::MysqlOutbox outbox_{database_.address()};
  adapters::memory::MemoryEventLog log_;
  adapters::curl::CurlHttpClient client_{{}};
  adapters::clickhouse::ClickhouseWarehouse real_{
      client_, {.url = server_->url(), .user = "admin", .password = "test123"}};
  RecordingWarehouse warehouse_{real_};
  std::unique_ptr<sink::WarehouseTables> live_tables_;
  std::unique_ptr<relay::Relay> relay_;
  std::unique_ptr<transform::Transformer> transformer_;
  std::unique_ptr<sink::Sink> sink_;
  ordering::OrderService orders_{store_, clock_, {}, [this] {
                                   if (relay_) relay_->wake();
                                 }};
  base::StopSignal stop_;
  std::vector<std::thread> threads_;
  std::mt19937 random_{7};
  std::vector<domain::OrderId> made_;
  std::atomic<bool> traffic_ = false;
  std::thread buyer_;
};
support::WarehouseServer* RebuildTest::server_ = nullptr;

ports::Job replay_of_all() {
  ports::Job job;
  job.parameters = R"({"topic":"orders_analytics","from":"0"})";
  return job;
}

constexpr std::string_view kTablesOfGeneration1 =
    "connectors generations orders_analytics purged_orders rollups sink_position snapshot_g1\n";

TEST_F(RebuildTest, RepairsDamagedTablesUnderTraffic) {
  trade(150);
  wait_until_loaded();
  damage();
  EXPECT_NE(verified(std::chrono::milliseconds(200)), "clean");
  begin_traffic();

  const std::string done = run_to_the_end();

  EXPECT_EQ(verified(kPatienceUnderTraffic), "clean") << "while orders come in";
  end_traffic();
  EXPECT_EQ(verified(), "clean");
  EXPECT_TRUE(done.starts_with("generation 1 is in use")) << done;
  EXPECT_EQ(table_names(), kTablesOfGeneration1);
  EXPECT_EQ(select("SELECT countIf(NOT startsWith(source, '1/')) FROM analytics.rollups"), "0\n");
}

TEST_F(RebuildTest, MayBeDoneAgainAndAgain) {
  trade(60);
  begin_traffic();
  run_to_the_end();
  run_to_the_end();
  end_traffic();
  EXPECT_EQ(verified(), "clean");
  EXPECT_EQ(table_names(),
            "connectors generations orders_analytics purged_orders rollups sink_position snapshot_g2\n");
}

TEST_F(RebuildTest, GoesOnWhereverTheProcessEnds) {
  trade(70);
  wait_until_loaded();
  damage();
  begin_traffic();
  for (const bool last_takes_effect : {true, false}) {
    // One save further each time, by a new process; without effect the step before it is done again.
    std::string checkpoint;
    std::size_t attempts = 0;
    for (std::size_t saves = 1;; ++attempts) {
      ASSERT_LT(attempts, 300u) << checkpoint;
      CutAttempt attempt(checkpoint, saves, last_takes_effect);
      const std::string before = checkpoint;
      const auto outcome = new_rebuild().run({}, attempt);
      if (outcome) break;
      ASSERT_EQ(outcome.error().kind, base::ErrorKind::kUnavailable) << outcome.error().message;
      saves = last_takes_effect || checkpoint != before ? 1 : 2;
    }
    EXPECT_GT(attempts, 10u) << "too few ends to mean anything";
    EXPECT_EQ(verified(kPatienceUnderTraffic), "clean");
  }
  end_traffic();
  EXPECT_EQ(verified(), "clean");
}

TEST_F(RebuildTest, TakesNothingFromASinkOfAFormerGeneration) {
  trade(20);
  wait_until_loaded();
  const auto topic = log_.describe_topic("orders_analytics", soon());
  ASSERT_TRUE(topic);
  run_to_the_end();
  const sink::RollupKey key{.leader = "", .bucket = 1'767'225'600, .key1 = "PENDING", .key2 = ""};
  const std::string source = sink::source_name({}, topic->topic_id, 0);
  const sink::RollupRow late{&key, &source, {1'000'000, {.order_count = 5, .amount = {}}}};
  const auto refused = live_tables_->insert_rollups({&late, 1}, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kRejected);
  EXPECT_EQ(refused.error().vendor_code, 469);
  EXPECT_NE(refused.error().message.find("generation"), std::string::npos) << refused.error().message;
  trade(20);
  EXPECT_EQ(verified(), "clean") << "the live sink takes the new generation up";
}

TEST_F(RebuildTest, KeepsTheNewTablesWhateverBecomesOfTheRequestsThatMoveThem) {
  trade(20);
  using Fault = RecordingWarehouse::Fault;
  for (const Fault fault : {Fault::kFail, Fault::kLoseAnswer}) {
    for (std::size_t nth = 1; nth <= 3; ++nth) {
      SCOPED_TRACE(fmt::format("fault {} at {}", static_cast<int>(fault), nth));
      rebuild::Generations generations(warehouse_, statements());
      const auto number = generations.take_number(soon());
      ASSERT_TRUE(number);
      const auto name = [&](const std::string& part) { return fmt::format("rollups_g{}_{}", *number, part); };
      const auto uuids =
          generations.create(*number, fmt::format("snapshot_g{}_a", *number),
                             fmt::format("orders_analytics_g{}_a", *number), name("a"), soon());
      ASSERT_TRUE(uuids) << uuids.error().message;
      warehouse_.arm(nth, fault);
      const auto first = generations.put_in_place("rollups", *number, uuids->rollups, name("b"), soon());
      EXPECT_FALSE(first);
      std::vector<std::string> requests = warehouse_.moved;
      // What the first attempt sent comes once more, late, at any point of the second.
      for (const std::string& late : requests) (void)real_.execute(late, {}, soon());
      warehouse_.arm(0, Fault::kNone);
      const auto second = generations.put_in_place("rollups", *number, uuids->rollups, name("c"), soon());
      EXPECT_TRUE(second) << second.error().message;
      requests.insert(requests.end(), warehouse_.moved.begin(), warehouse_.moved.end());
      for (int times = 0; times < 2; ++times)
        for (const std::string& late : requests) (void)real_.execute(late, {}, soon());
      EXPECT_EQ(select(fmt::format("SELECT name FROM system.tables WHERE uuid = '{}'", uuids->rollups)),
                "rollups\n");
      const auto again = generations.put_in_place("rollups", *number, uuids->rollups, name("d"), soon());
      EXPECT_TRUE(again) << again.error().message;
    }
  }
  EXPECT_EQ(verified(std::chrono::milliseconds(0)).find("clean"), std::string::npos)
      << "the empty tables were put in place";
  run_to_the_end();
  EXPECT_EQ(verified(), "clean");
}

TEST_F(RebuildTest, LeavesPurgedOrdersOut) {
  trade(40);
  wait_until_loaded();
  const std::string id =
      select("SELECT order_id FROM analytics.orders_analytics FINAL WHERE is_deleted = 1 LIMIT 1");
  ASSERT_GT(id.size(), 10u);
  const std::string order = id.substr(0, id.size() - 1);
  // As if it had been deleted and purged long ago.
  database_.run(
      fmt::format("UPDATE orders SET version = 5000, deleted_at = '2020-01-01', updated_at = "
                  "'2020-01-01' WHERE id = '{}'",
                  order));
  ASSERT_TRUE(real_.execute(
      fmt::format("INSERT INTO analytics.purged_orders (order_id, version) VALUES ('{}', 5000)", order), {},
      soon()));
  run_to_the_end();
  EXPECT_EQ(
      select(fmt::format("SELECT count() FROM analytics.orders_analytics WHERE order_id = '{}'", order)),
      "0\n");
  EXPECT_EQ(verified(), "clean");
}

TEST_F(RebuildTest, LeavesNothingBehindWhenItIsCancelled) {
  trade(60);
  wait_until_loaded();
  const std::string before = table_names();
  std::string checkpoint;
  for (int saves = 0; saves < 4; ++saves) {
    CutAttempt attempt(checkpoint, 1, true);
    EXPECT_FALSE(new_rebuild().run({}, attempt));
  }
  EXPECT_NE(table_names(), before);
  CutAttempt attempt(checkpoint, 0, true);
  const auto cancelled = new_rebuild().cancel({}, attempt);
  ASSERT_TRUE(cancelled) << cancelled.error().message;
  EXPECT_TRUE(*cancelled);
  EXPECT_EQ(table_names(), before);
  EXPECT_EQ(run_to_the_end().substr(0, 22), "generation 2 is in use") << "a number is used once";
  EXPECT_EQ(verified(), "clean");
}

TEST_F(RebuildTest, AddsNothingToASnapshotThatIsComplete) {
  rebuild::Generations generations(warehouse_, statements());
  const auto number = generations.take_number(soon());
  ASSERT_TRUE(number);
  ASSERT_TRUE(generations.create(*number, "snapshot_g1_a", "orders_analytics_g1_a", "rollups_g1_a", soon()));
  domain::AnalyticsRow row;
  row.order_id = domain::OrderId("o-1");
  row.version = 7;
  ASSERT_TRUE(generations.stage("snapshot_g1_a", {&row, 1}, soon()));
  EXPECT_EQ(generations.is_complete(*number, soon()), false);
  ASSERT_TRUE(generations.complete(*number, "snapshot_g1_a", soon()));
  EXPECT_EQ(generations.is_complete(*number, soon()), true);
  row.version = 8;
  const auto late = generations.stage("snapshot_g1_a", {&row, 1}, soon());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, base::ErrorKind::kUnavailable);
  EXPECT_EQ(select("SELECT max(version) FROM analytics.snapshot_g1"), "7\n");
  ASSERT_TRUE(generations.drop(*number, soon()));
  EXPECT_EQ(table_names(), "connectors generations orders_analytics purged_orders rollups sink_position\n");
}

TEST_F(RebuildTest, FillsALostWarehouse) {
  trade(80);
  wait_until_loaded();
  begin_traffic();
  // The tables are recreated, empty, with no position either; the log is there from the beginning or not.
  for (const char* table : {"orders_analytics", "rollups", "sink_position"})
    ASSERT_TRUE(real_.execute(std::string("TRUNCATE TABLE analytics.") + table, {}, soon()));
  run_to_the_end();
  end_traffic();
  EXPECT_EQ(verified(), "clean");
}

TEST_F(RebuildTest, ReplaysBaseRowsWhereverTheProcessEnds) {
  trade(80);
  wait_until_loaded();
  const std::string_view sums =
      "SELECT count(), sum(r.order_count), sum(r.sale_count), sum(r.quantity), sum(r.amount), sum(upto) FROM "
      "analytics.rollups AS r FINAL";
  const std::string before = select(sums);
  const ports::Job job = replay_of_all();
  for (const bool last_takes_effect : {true, false}) {
    ASSERT_TRUE(real_.execute("TRUNCATE TABLE analytics.orders_analytics", {}, soon()));
    std::string checkpoint;
    std::size_t attempts = 0;
    for (std::size_t saves = 1;; ++attempts) {
      ASSERT_LT(attempts, 100u) << checkpoint;
      rebuild::ReplayOptions options;
      options.batch_records_max = 7;
      rebuild::Replay replay(log_, *live_tables_, clock_, options);
      CutAttempt attempt(checkpoint, saves, last_takes_effect);
      const std::string checkpoint_before = checkpoint;
      const auto outcome = replay.run(job, attempt);
      if (outcome) break;
      ASSERT_EQ(outcome.error().kind, base::ErrorKind::kUnavailable) << outcome.error().message;
      saves = last_takes_effect || checkpoint != checkpoint_before ? 1 : 2;
    }
    EXPECT_GT(attempts, 5u);
    EXPECT_EQ(select(sums), before) << "the sums are not touched";
    EXPECT_EQ(verified(), "clean");
  }
}

TEST_F(RebuildTest, ReplaysNoRowOfAPurgedOrder) {
  trade(40);
  wait_until_loaded();
  const std::string id =
      select("SELECT order_id FROM analytics.orders_analytics FINAL WHERE is_deleted = 1 LIMIT 1");
  ASSERT_GT(id.size(), 10u);
  const std::string order = id.substr(0, id.size() - 1);
  ASSERT_TRUE(
      real_.execute(fmt::format("INSERT INTO analytics.purged_orders (order_id, version) SELECT order_id, "
                                "version FROM analytics.orders_analytics FINAL WHERE order_id = '{}'",
                                order),
                    {}, soon()));
  ASSERT_TRUE(real_.execute("TRUNCATE TABLE analytics.orders_analytics", {}, soon()));
  rebuild::ReplayOptions options;
  options.base_rows.purged_check_age = std::chrono::milliseconds(-3'600'000);  // looks each order up
  rebuild::Replay replay(log_, *live_tables_, clock_, options);
  std::string checkpoint;
  CutAttempt attempt(checkpoint, 0, true);
  const auto outcome = replay.run(replay_of_all(), attempt);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(
      select(fmt::format("SELECT count() FROM analytics.orders_analytics WHERE order_id = '{}'", order)),
      "0\n");
  EXPECT_EQ(select("SELECT count() > 0 FROM analytics.orders_analytics"), "1\n");
}

}  // namespace
}  // namespace millrace
