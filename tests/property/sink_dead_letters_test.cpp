// The sink and rows that the base table refuses, over stores in memory: every call goes wrong once, in each
// way it can, and in the end each row is in the table or in a dead letter, and all are in the sums.
#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include "adapters/memory/memory_event_log.h"
#include "adapters/system/system_clock.h"
#include "base/scheduler.h"
#include "dead_letters/dead_letter.h"
#include "sink/sink.h"
#include "support/memory_pipeline.h"

namespace millrace {
namespace {

using adapters::memory::LogFault;
using adapters::memory::LogOperation;
using test::Fault;

constexpr std::chrono::milliseconds kPatience{20'000};

base::Deadline soon() {
  return base::Deadline::in(kPatience);
}

/// Memory tables that refuse the base rows of some users, as a constraint does.
class RefusingTables final : public sink::SinkTables {
 public:
  explicit RefusingTables(test::CallDial& dial) : inner(dial) {}

  test::MemoryTables inner;
  std::atomic<bool> refusing = true;
  std::function<base::Result<void>(std::size_t rows)> before_insert;
  std::function<void(std::span<const domain::AnalyticsRow* const>)> on_insert;

  base::Result<sink::Generation> generation(base::Deadline d) override { return inner.generation(d); }
  base::Result<std::map<domain::OrderId, std::uint64_t>> snapshot_versions(
      std::uint32_t number, std::span<const domain::OrderId> orders, base::Deadline d) override {
    return inner.snapshot_versions(number, orders, d);
  }
  base::Result<sink::SinkPosition> position(const std::string& source, base::Deadline d) override {
    return inner.position(source, d);
  }
  base::Result<void> write_positions(const std::map<std::string, sink::SinkPosition>& positions,
                                     base::UtcTime now, base::Deadline d) override {
    return inner.write_positions(positions, now, d);
  }
  base::Result<base::UtcTime> now(base::Deadline d) override { return inner.now(d); }
  base::Result<void> insert_base(std::span<const domain::AnalyticsRow* const> rows, base::UtcTime loaded_at,
                                 base::UtcTime not_after, base::Deadline d) override {
    if (on_insert) on_insert(rows);
    if (before_insert) MILLRACE_TRY(before_insert(rows.size()));
    if (refusing)
      for (const auto* row : rows)
        if (row->current.user_id.value() == "refused") return base::rejected("a constraint says no", 469);
    return inner.insert_base(rows, loaded_at, not_after, d);
  }
  base::Result<std::map<domain::OrderId, std::uint64_t>> purged_versions(
      std::span<const domain::OrderId> orders, base::Deadline d) override {
    return inner.purged_versions(orders, d);
  }
  base::Result<void> insert_rollups(std::span<const sink::RollupRow> rows, base::Deadline d) override {
    return inner.insert_rollups(rows, d);
  }
  base::Result<sink::RollupCache> load_cache(const std::string& source, std::size_t keys,
                                             base::Deadline d) override {
    return inner.load_cache(source, keys, d);
  }
  base::Result<std::vector<std::pair<sink::RollupKey, sink::CumulativeAggregate>>> read_sums(
      const std::string& source, std::span<const sink::RollupKey> keys, base::Deadline d) override {
    return inner.read_sums(source, keys, d);
  }
};

domain::AnalyticsRow row_of(std::size_t number, bool refused) {
  domain::AnalyticsRow row;
  row.event_id = domain::EventId(number + 1);
  row.order_id = domain::OrderId(fmt::format("order-{}", number));
  row.version = 1'767'225'600'000 + number;
  row.current.user_id = domain::UserId(refused ? "refused" : "user");
  row.current.order_date = base::utc_from_ms(1'767'225'600'000);
  row.current.total_amount = domain::Money::from_cents(100);
  return row;
}

struct World {
  World() : tables(dial) {
    EXPECT_TRUE(log.ensure_topic("orders_analytics", 2, soon()));
    options.batch_rows_max = 6;
    options.max_delay = std::chrono::milliseconds(0);
    options.position_interval = std::chrono::milliseconds(0);
    options.idle_wait = std::chrono::milliseconds(2);
    options.cached_keys_max = 40;
  }

  /// Every third row is one that the table refuses.
  void send(std::size_t rows) {
    for (std::size_t i = 0; i < rows; ++i) {
      const ports::NewRecord record{fmt::format("order-{}", i),
                                    domain::to_json(row_of(i, i % 3 == 1)),
                                    {{"input-offset", std::to_string(i)}},
                                    base::utc_from_ms(1)};
      ASSERT_TRUE(log.append({"orders_analytics", static_cast<std::int32_t>(i % 2)}, {&record, 1}, soon()));
    }
  }

  void sink_all() {
    sink::Sink stage(log, tables, clock, options);
    base::StopSignal stop;
    base::Result<void> outcome = {};
    std::thread thread([&] { outcome = stage.run(stop); });
    const auto patience = soon();
    while (!all_loaded() && !patience.passed()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_FALSE(patience.passed()) << "the sink did not finish";
    stop.request();
    thread.join();
    EXPECT_TRUE(outcome) << outcome.error().message;
  }

  [[nodiscard]] bool all_loaded() {
    for (std::int32_t partition = 0; partition < 2; ++partition) {
      const auto committed = log.committed(options.group, {options.topic, partition}, soon());
      const auto range = log.offsets({options.topic, partition}, soon());
      if (!committed || !range) return false;
      if (range->end > 0 && (!*committed || (*committed)->offset != range->end)) return false;
    }
    return true;
  }

  /// By the place that they came from: a letter that was written twice is one.
  [[nodiscard]] std::map<ports::DeadLetterPosition, dead_letters::DeadLetter> letters() {
    std::map<ports::DeadLetterPosition, dead_letters::DeadLetter> found;
    for (std::int32_t partition = 0; partition < 2; ++partition) {
      auto records =
          log.read({options.dead_letter_topic, partition}, 0, {1'000, 1u << 20}, base::Deadline::in({}));
      if (!records) continue;
      for (ports::Record& record : *records) {
        auto letter = dead_letters::read_dead_letter(std::move(record));
        EXPECT_TRUE(letter);
        if (letter) found.emplace(letter->place, std::move(*letter));
      }
    }
    return found;
  }

  void expect_all_accounted_for(std::size_t rows) {
    const auto put_aside = letters();
    const auto in_table = tables.inner.base_rows();
    std::size_t refused = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      const bool is_refused = i % 3 == 1;
      refused += is_refused ? 1 : 0;
      EXPECT_EQ(in_table.contains(fmt::format("order-{}", i)), !is_refused) << i;
    }
    EXPECT_EQ(put_aside.size(), refused);
    for (const auto& [place, letter] : put_aside) {
      EXPECT_TRUE(letter.half_base);
      // What the server said stays in the log; it may hold values.
      EXPECT_NE(letter.reason.find("code 469"), std::string::npos) << letter.reason;
      EXPECT_EQ(letter.reason.find("a constraint says no"), std::string::npos) << letter.reason;
      EXPECT_TRUE(letter.record.header("input-offset"));
      const auto row = domain::parse_analytics_row(letter.record.value);
      ASSERT_TRUE(row);
      EXPECT_EQ(row->current.user_id.value(), "refused");
    }
    std::int64_t counted = 0;
    for (const auto& [key, sums] : tables.inner.sums())
      if (key.starts_with("1|")) counted += sums.order_count;
    EXPECT_EQ(counted, static_cast<std::int64_t>(rows));
    EXPECT_FALSE(tables.inner.clash());
  }

  test::CallDial dial;
  RefusingTables tables;
  adapters::memory::MemoryEventLog log;
  adapters::system::SystemClock clock;
  sink::Options options;
};

constexpr std::size_t kRows = 14;

TEST(SinkDeadLetters, HoldTheRowsThatTheBaseTableRefusesAndTheSumsHoldAll) {
  spdlog::set_level(spdlog::level::off);
  World world;
  world.send(kRows);
  world.sink_all();
  world.expect_all_accounted_for(kRows);
}

TEST(SinkDeadLetters, AreCompleteWhateverCallOfTheWarehouseGoesWrong) {
  spdlog::set_level(spdlog::level::off);
  std::uint64_t struck = 0;
  for (const Fault fault : {Fault::kFail, Fault::kLoseAnswer, Fault::kDoHalf}) {
    for (std::uint64_t nth = 1; nth <= 200; ++nth) {
      SCOPED_TRACE(fmt::format("fault {} at call {}", static_cast<int>(fault), nth));
      World world;
      world.send(kRows);
      world.dial.arm(nth, fault);
      world.sink_all();
      world.expect_all_accounted_for(kRows);
      if (HasFailure() || world.dial.calls() < nth) break;
      ++struck;
    }
  }
  EXPECT_GT(struck, 40u);
}

TEST(SinkDeadLetters, AreCompleteWhateverCallOfTheLogGoesWrong) {
  spdlog::set_level(spdlog::level::off);
  for (const LogOperation operation : {LogOperation::kAppend, LogOperation::kRead, LogOperation::kCommit}) {
    for (const LogFault fault : {LogFault::kFail, LogFault::kLoseAnswer, LogFault::kDoHalf}) {
      for (std::uint64_t nth = 1; nth <= 12; ++nth) {
        SCOPED_TRACE(fmt::format("operation {} fault {} at call {}", static_cast<int>(operation),
                                 static_cast<int>(fault), nth));
        World world;
        world.send(kRows);
        world.log.faults().set(operation, nth, fault);
        world.sink_all();
        world.log.faults().clear();
        world.expect_all_accounted_for(kRows);
        if (HasFailure()) return;
      }
    }
  }
}

TEST(SinkDeadLetters, OfHalfARowAreMendedByLoadingItAgain) {
  spdlog::set_level(spdlog::level::off);
  World world;
  world.send(kRows);
  world.sink_all();
  const auto sums = world.tables.inner.sums();
  world.tables.refusing = false;

  for (const auto& [place, letter] : world.letters())
    for (int twice = 0; twice < 2; ++twice)
      ASSERT_TRUE(sink::load_base_row(world.tables, world.clock,
                                      *domain::parse_analytics_row(letter.record.value), soon()));

  EXPECT_EQ(world.tables.inner.base_rows().size(), kRows);
  EXPECT_EQ(world.tables.inner.sums(), sums);
}

TEST(SinkDeadLetters, OfPurgedOrdersAreNotLoadedAgain) {
  World world;
  world.tables.inner.purge(domain::OrderId("order-1"), 1'767'225'600'001);
  ASSERT_TRUE(sink::load_base_row(world.tables, world.clock, row_of(1, false), soon()));
  EXPECT_TRUE(world.tables.inner.base_rows().empty());
}

TEST(SinkBatch, HasRowsOfEveryPartitionWhateverTheBacklogOfOne) {
  spdlog::set_level(spdlog::level::off);
  World world;
  world.tables.refusing = false;
  for (std::size_t i = 0; i < 60; ++i) {
    const ports::NewRecord record{fmt::format("order-{}", i),
                                  domain::to_json(row_of(i, false)),
                                  {{"input-offset", std::to_string(i)}},
                                  base::utc_from_ms(1)};
    ASSERT_TRUE(world.log.append({"orders_analytics", i < 57 ? 0 : 1}, {&record, 1}, soon()));
  }
  std::vector<std::string> first;  // the orders of the first batch
  world.tables.on_insert = [&](std::span<const domain::AnalyticsRow* const> rows) {
    if (first.empty())
      for (const auto* row : rows) first.push_back(row->order_id.value());
  };
  world.sink_all();
  EXPECT_EQ(first,
            (std::vector<std::string>{"order-0", "order-1", "order-2", "order-57", "order-58", "order-59"}));
}

/// Waits take no time, and what runs beside its caller runs at once.
class NoWaiting final : public base::Scheduler {
 public:
  NoWaiting() { base::replaced_runtime = this; }
  ~NoWaiting() override { base::replaced_runtime = nullptr; }
  NoWaiting(const NoWaiting&) = delete;
  NoWaiting& operator=(const NoWaiting&) = delete;

  Moment now() override { return now_; }
  bool wait_until(Moment until, const std::function<bool()>& ready) override {
    if (ready()) return true;
    now_ = std::max(now_, until);
    return ready();
  }
  void start(std::function<void()> work) override { work(); }
  std::uint64_t random_seed() override { return 1; }

 private:
  // Behind the real clock at any time, so that nothing that knows only that one waits for ours.
  Moment now_ = std::chrono::steady_clock::now() - std::chrono::hours(24);
};

TEST(SinkOutage, IsWaitedOutInBoundedMemoryAndWithoutADeadLetter) {
  spdlog::set_level(spdlog::level::off);
  constexpr std::size_t kAttempts = 300;
  World world;
  world.send(4'000);
  world.options.batch_rows_max = 500;
  base::StopSignal stop;
  std::size_t attempts = 0;
  std::size_t rows_most = 0;
  std::size_t bytes_first = 0;
  std::size_t bytes_most = 0;
  // The kinds that a table which is unavailable, gone or altered answers with; none is about a row.
  constexpr std::array kKinds = {base::ErrorKind::kUnavailable, base::ErrorKind::kInvalid};
  world.tables.before_insert = [&](std::size_t rows) -> base::Result<void> {
    rows_most = std::max(rows_most, rows);
    const std::size_t bytes = mallinfo2().uordblks;
    if (++attempts == 10) bytes_first = bytes;
    bytes_most = std::max(bytes_most, bytes);
    if (attempts == kAttempts) stop.request();
    return base::fail(kKinds[attempts % kKinds.size()], "away");
  };

  const NoWaiting no_waiting;
  sink::Sink stage(world.log, world.tables, world.clock, world.options);
  EXPECT_TRUE(stage.run(stop));

  EXPECT_EQ(attempts, kAttempts);
  EXPECT_LE(rows_most, 500u);
  EXPECT_LT(bytes_most, bytes_first + (std::size_t{256} << 10u));
  EXPECT_TRUE(world.letters().empty());
  EXPECT_EQ(stage.stats().dead_letters, 0u);
}

}  // namespace
}  // namespace millrace
