// Relay, transformer and sink over stores in memory: one call after the other goes wrong, in each way it can,
// and what comes out must be what independent code makes of the events.
#include <thread>

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "adapters/memory/memory_event_log.h"
#include "adapters/system/system_clock.h"
#include "domain/order_event.h"
#include "ports/record_headers.h"
#include "relay/relay.h"
#include "sink/sink.h"
#include "sink/snapshot_loader.h"
#include "support/memory_pipeline.h"
#include "support/order_history.h"
#include "transform/transformer.h"

namespace millrace {
namespace {

using adapters::memory::LogFault;
using adapters::memory::LogOperation;
using test::Fault;
using test::History;

constexpr std::chrono::milliseconds kPatience{20'000};

/// The three stages over stores in memory. Each stage runs on a thread until its work is done.
class World {
 public:
  World() : outbox(dial), tables(dial) {
    for (const char* topic : {"order.events", "orders_analytics"})
      EXPECT_TRUE(log.ensure_topic(topic, 2, base::Deadline::in(kPatience)));
  }

  void relay() {
    relay::Options options;
    options.batch_rows_max = 5;
    options.partitions = 2;
    options.poll_interval_max = std::chrono::milliseconds(2);
    relay::Relay stage(outbox, log, clock, options);
    run(stage, [&] { return outbox.waiting() == 0; });
  }
  void transform() {
    transform::Options options;
    options.window_events = 20;
    options.batch_records_max = 4;
    options.commit_interval = std::chrono::milliseconds(0);
    options.idle_wait = std::chrono::milliseconds(2);
    transform::Transformer stage(log, clock, options);
    run(stage, [&] { return all_committed(options.group, options.input_topic); });
    repeats += stage.stats().repeats_dropped + stage.stats().former_owner_dropped;
  }
  void sink() { sink(tables, "clickhouse-sink-orders"); }
  void sink(test::MemoryTables& into, const std::string& group) {
    sink::Options options;
    options.group = group;
    options.batch_rows_max = 6;
    options.max_delay = std::chrono::milliseconds(0);
    options.position_interval = std::chrono::milliseconds(0);
    options.idle_wait = std::chrono::milliseconds(2);
    options.cached_keys_max = 40;
    sink::Sink stage(log, into, clock, options);
    run(stage, [&] { return all_committed(options.group, options.topic); });
    repeats += stage.stats().repeats_dropped;
  }

  void expect_truth(const History& history) const {
    EXPECT_FALSE(tables.clash());
    EXPECT_EQ(tables.sums(), history.sums);
    const auto rows = tables.base_rows();
    EXPECT_EQ(rows.size(), history.orders.size());
    for (const auto& [id, truth] : history.orders) {
      const auto row = rows.find(id);
      ASSERT_NE(row, rows.end()) << id;
      EXPECT_EQ(row->second.version, truth.version) << id;
      EXPECT_EQ(row->second.is_deleted, truth.deleted) << id;
      EXPECT_EQ(row->second.image.status, truth.image.status) << id;
      EXPECT_EQ(row->second.image.total_amount, truth.image.total_amount) << id;
    }
  }

  test::CallDial dial;
  test::MemoryOutbox outbox;
  adapters::memory::MemoryEventLog log;
  test::MemoryTables tables;
  adapters::system::SystemClock clock;
  std::uint64_t repeats = 0;
  std::size_t sent = 0;  ///< Events of the history that are in the outbox.

 private:
  template <class Stage, class Done>
  void run(Stage& stage, Done done) {
    base::StopSignal stop;
    base::Result<void> outcome = {};
    std::thread thread([&] { outcome = stage.run(stop); });
    const auto patience = base::Deadline::in(kPatience);
    while (!done() && !patience.passed()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_FALSE(patience.passed()) << "the stage did not finish";
    stop.request();
    thread.join();
    EXPECT_TRUE(outcome) << outcome.error().message;
  }

  bool all_committed(const std::string& group, const std::string& topic) {
    for (std::int32_t partition = 0; partition < 2; ++partition) {
      const auto soon = base::Deadline::in(kPatience);
      const auto committed = log.committed(group, {topic, partition}, soon);
      const auto range = log.offsets({topic, partition}, soon);
      if (!committed || !range) return false;
      if (range->end > 0 && (!*committed || (*committed)->offset != range->end)) return false;
    }
    return true;
  }
};

void send(World& world, const History& history) {
  for (const domain::OrderEvent& event : history.events)
    world.outbox.add(event.image().order_id.value(), std::string(domain::to_string(event.type)),
                     domain::to_json(event));
}

TEST(Pipeline, MakesTheTruthOfManyHistories) {
  spdlog::set_level(spdlog::level::off);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    World world;
    const History history(seed, 60);
    send(world, history);
    world.relay();
    world.transform();
    world.sink();
    world.expect_truth(history);
  }
}

TEST(Pipeline, KeepsTheTruthWhateverCallOfTheStoresGoesWrong) {
  spdlog::set_level(spdlog::level::off);
  const History history(7, 30);
  std::uint64_t faults_struck = 0;
  for (const Fault fault : {Fault::kFail, Fault::kLoseAnswer, Fault::kDoHalf}) {
    for (std::uint64_t nth = 1;; ++nth) {
      SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + " at call " + std::to_string(nth));
      World world;
      world.dial.arm(nth, fault);
      send(world, history);
      world.relay();
      world.transform();
      world.sink();
      world.expect_truth(history);
      if (HasFailure() || world.dial.calls() < nth) break;
      ++faults_struck;
    }
  }
  EXPECT_GT(faults_struck, 60u);
}

TEST(Pipeline, KeepsTheTruthWhateverCallOfTheLogGoesWrong) {
  spdlog::set_level(spdlog::level::off);
  const History history(11, 30);
  std::uint64_t repeats = 0;
  for (const LogOperation operation :
       {LogOperation::kAppend, LogOperation::kCommit, LogOperation::kRead, LogOperation::kReadBefore,
        LogOperation::kOffsets, LogOperation::kCommitted}) {
    for (const LogFault fault :
         {LogFault::kFail, LogFault::kLoseAnswer, LogFault::kDoHalf, LogFault::kConflict}) {
      // Only a commit may be told that its assignment has passed to another.
      if (fault == LogFault::kConflict && operation != LogOperation::kCommit) continue;
      for (std::uint64_t nth = 1; nth <= 24; ++nth) {
        SCOPED_TRACE("operation " + std::to_string(static_cast<int>(operation)) + " fault " +
                     std::to_string(static_cast<int>(fault)) + " at call " + std::to_string(nth));
        World world;
        world.log.faults().set(operation, nth, fault);
        const std::uint64_t calls_before = world.log.faults().calls(operation);
        send(world, history);
        world.relay();
        world.transform();
        world.sink();
        world.expect_truth(history);
        repeats += world.repeats;
        if (HasFailure() || world.log.faults().calls(operation) - calls_before < nth) break;
      }
    }
  }
  EXPECT_GT(repeats, 0u) << "no fault made an event come twice: the test does not reach what it is for";
}

TEST(Pipeline, GoesOnWithoutStartingAnyStageAgainWhileCommitsFail) {
  spdlog::set_level(spdlog::level::off);
  const History history(17, 30);
  for (const LogFault fault : {LogFault::kFail, LogFault::kConflict}) {
    World world;
    const std::uint64_t joins_before = world.log.faults().calls(LogOperation::kJoin);
    send(world, history);
    world.relay();
    world.log.faults().set(LogOperation::kCommit, 1, fault, 3);
    world.transform();
    world.log.faults().set(LogOperation::kCommit, 1, fault, 3);
    world.sink();
    world.expect_truth(history);
    EXPECT_EQ(world.log.faults().calls(LogOperation::kJoin) - joins_before, 2u);
    EXPECT_EQ(world.repeats, 0u);
  }
}

TEST(Pipeline, GoesOnAfterTheLogWasTrimmedToWhatARestartNeeds) {
  spdlog::set_level(spdlog::level::off);
  constexpr std::uint64_t kSeed = 3;
  World world;
  std::int64_t deleted = 0;
  for (std::size_t end = 4; end <= 120; end += 4) {
    SCOPED_TRACE(end);
    History part(kSeed, end);
    part.events.erase(part.events.begin(), part.events.begin() + static_cast<std::ptrdiff_t>(world.sent));
    world.sent = end;
    // Every round begins with an append whose answer is lost, so its events come again under a new epoch.
    world.log.faults().set(LogOperation::kAppend, 1, LogFault::kLoseAnswer);
    send(world, part);
    world.relay();
    world.transform();
    for (std::int32_t partition = 0; partition < 2; ++partition) {
      const auto soon = base::Deadline::in(kPatience);
      const ports::TopicPartition where{"order.events", partition};
      const auto committed = world.log.committed("order-event-transformer", where, soon);
      ASSERT_TRUE(committed);
      if (!*committed) continue;
      ASSERT_TRUE(world.log.delete_records(where, transform::needed_from(**committed), soon));
      deleted = std::max(deleted, world.log.offsets(where, soon)->begin);
    }
  }
  world.sink();
  world.expect_truth(History(kSeed, 120));
  EXPECT_GT(deleted, 10);
  EXPECT_GT(world.repeats, 10u);
}

TEST(Pipeline, LeavesPurgedOrdersOutOfTheBaseTableAndInTheSums) {
  spdlog::set_level(spdlog::level::off);
  World world;
  const History history(13, 60);
  std::size_t purged = 0;
  for (const auto& [id, truth] : history.orders) {
    if (!truth.deleted) continue;
    world.tables.purge(domain::OrderId(id), truth.version);
    ++purged;
  }
  ASSERT_GT(purged, 3u);
  send(world, history);
  world.relay();
  world.transform();
  world.sink();
  EXPECT_EQ(world.tables.sums(), history.sums);
  const auto rows = world.tables.base_rows();
  EXPECT_EQ(rows.size(), history.orders.size() - purged);
  for (const auto& [id, row] : rows) EXPECT_FALSE(row.is_deleted) << id;
}

/// The next generation of the tables, made beside the live ones: what a rebuild does, over stores in memory.
class Shadow {
 public:
  test::MemoryTables tables;

  /// Orders are read at several moments, as chunks of a snapshot are: some before, some after what the log
  /// holds.
  Shadow(World& world, std::uint64_t seed, std::span<const std::size_t> moments)
      : tables(world.dial), world_(world) {
    std::map<domain::OrderId, std::uint64_t> versions;
    for (std::size_t chunk = 0; chunk < moments.size(); ++chunk) {
      const History then(seed, moments[chunk]);
      for (const auto& [id, truth] : then.orders) {
        if (static_cast<std::size_t>(id.back()) % moments.size() != chunk) continue;
        domain::AnalyticsRow row;
        row.order_id = domain::OrderId(id);
        row.version = truth.version;
        row.current = domain::analytics_image_of(truth.image);
        row.type = truth.deleted ? domain::OrderEventType::kDeleted : domain::OrderEventType::kCreated;
        if (truth.deleted) row.deleted_at = truth.image.created_at;
        row.before = row.current;
        versions.emplace(row.order_id, row.version);
        rows_.push_back(std::move(row));
      }
    }
    tables.begin_generation(1, std::move(versions));
  }

  void begin_at_positions_of_the_live_sink(base::Deadline soon) {
    const auto topic = world_.log.describe_topic("orders_analytics", soon);
    ASSERT_TRUE(topic);
    for (std::int32_t partition = 0; partition < 2; ++partition) {
      const auto live = world_.tables.position(sink::source_name({}, topic->topic_id, partition), soon);
      ASSERT_TRUE(live);
      ASSERT_TRUE(tables.write_positions(
          {{sink::source_name({.number = 1}, topic->topic_id, partition), *live}}, {}, soon));
    }
  }

  /// In slices of 3, each tried again from new until it is acknowledged, and now and then once more.
  void load_snapshot() {
    std::uint64_t slice = 0;
    for (std::size_t first = 0; first < rows_.size(); first += 3, ++slice) {
      const std::vector<domain::AnalyticsRow> rows(
          rows_.begin() + static_cast<std::ptrdiff_t>(first),
          rows_.begin() + static_cast<std::ptrdiff_t>(std::min(first + 3, rows_.size())));
      for (int times = slice % 2 == 0 ? 2 : 1; times > 0;) {
        auto loader =
            sink::SnapshotLoader::open(tables, world_.clock, {.base_rows = {}, .cached_keys_max = 5});
        if (loader && loader->load(slice, rows, base::StopSignal())) --times;
      }
    }
  }

 private:
  World& world_;
  std::vector<domain::AnalyticsRow> rows_;
};

/// The live sink has loaded `loaded` events when a rebuild begins; `in_log` are in the log when it catches
/// up.
void rebuild(World& world, std::uint64_t seed, std::size_t loaded, std::size_t in_log,
             std::span<const std::size_t> moments, std::uint64_t nth, Fault fault) {
  const History history(seed, 60);
  const auto send_until = [&](std::size_t end) {
    History part(seed, end);
    part.events.erase(part.events.begin(), part.events.begin() + static_cast<std::ptrdiff_t>(world.sent));
    world.sent = end;
    send(world, part);
    world.relay();
    world.transform();
  };
  send_until(loaded);
  world.sink();
  Shadow shadow(world, seed, moments);
  shadow.begin_at_positions_of_the_live_sink(base::Deadline::in(kPatience));
  send_until(in_log);
  world.dial.arm(nth, fault);
  shadow.load_snapshot();
  world.sink(shadow.tables, "rebuild");
  EXPECT_FALSE(shadow.tables.clash());
  world.tables.exchange_with(shadow.tables);
  send_until(60);
  world.sink();
  world.expect_truth(history);
}

TEST(Pipeline, KeepsTheTruthOverARebuildWhereverItsMomentsFall) {
  spdlog::set_level(spdlog::level::off);
  std::mt19937_64 random(5);
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    World world;
    const std::size_t loaded = random() % 40;
    const std::size_t in_log = loaded + random() % (61 - loaded);
    std::vector<std::size_t> moments(3);
    for (std::size_t& moment : moments) moment = loaded + random() % (61 - loaded);
    rebuild(world, seed, loaded, in_log, moments, 0, Fault::kNone);
  }
}

TEST(Pipeline, KeepsTheTruthOverARebuildWhateverCallOfTheTablesGoesWrong) {
  spdlog::set_level(spdlog::level::off);
  const std::vector<std::size_t> moments{25, 35, 45};
  std::uint64_t faults_struck = 0;
  for (const Fault fault : {Fault::kFail, Fault::kLoseAnswer, Fault::kDoHalf}) {
    for (std::uint64_t nth = 1;; ++nth) {
      SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + " at call " + std::to_string(nth));
      World world;
      rebuild(world, 7, 20, 40, moments, nth, fault);
      if (HasFailure() || world.dial.calls() < nth) break;
      ++faults_struck;
    }
  }
  EXPECT_GT(faults_struck, 60u);
}

TEST(Pipeline, RefusesTheSumsOfASinkOfAFormerGeneration) {
  test::CallDial dial;
  test::MemoryTables tables(dial);
  tables.begin_generation(2, {});
  const sink::RollupKey key;
  const auto write = [&](const std::string& source) {
    const sink::RollupRow row{&key, &source, {1, {}}};
    return tables.insert_rollups({&row, 1}, base::Deadline::in(kPatience));
  };
  EXPECT_FALSE(write(sink::source_name({.number = 1}, "topic", 0)));
  EXPECT_FALSE(write(sink::source_name({}, "topic", 0)));
  EXPECT_TRUE(write(sink::source_name({.number = 2}, "topic", 0)));
}

TEST(Pipeline, SendsUnderANewEpochAfterAnAppendWithoutAnAnswer) {
  spdlog::set_level(spdlog::level::off);
  World world;
  world.log.faults().set(LogOperation::kAppend, 1, LogFault::kLoseAnswer);
  world.outbox.add("order-0", "OrderCreated", "{}");
  world.relay();
  std::vector<std::string> epochs;
  for (std::int32_t partition = 0; partition < 2; ++partition) {
    const auto records = world.log.read({"order.events", partition}, 0, {100, 1u << 20u},
                                        base::Deadline::in(std::chrono::milliseconds(0)));
    ASSERT_TRUE(records);
    for (const ports::Record& record : *records)
      epochs.emplace_back(record.header(ports::kHeaderEpoch).value_or("none"));
  }
  EXPECT_EQ(epochs, (std::vector<std::string>{"1", "2"}));
}

TEST(Pipeline, ParksAnEventThatTheLogCannotTakeWithTheLaterOnesOfItsOrderOnly) {
  spdlog::set_level(spdlog::level::off);
  World world;
  const History history(3, 20);
  send(world, history);
  const auto huge = world.outbox.add("order-huge", "OrderCreated", std::string(9u << 20u, ' '));
  const auto later = world.outbox.add("order-huge", "OrderDeleted", "{}");
  world.relay();
  world.transform();
  world.sink();
  EXPECT_EQ(world.outbox.parked(), (std::set<std::uint64_t>{huge, later}));
  world.expect_truth(history);
}

TEST(Pipeline, SendsWhatCannotBeReadToTheDeadLettersAndTheRestOn) {
  spdlog::set_level(spdlog::level::off);
  World world;
  const History history(5, 20);
  world.outbox.add("order-0", "OrderCreated", R"({"eventType":"OrderCreated","version":0})");
  send(world, history);
  world.outbox.add("order-x", "Nonsense", "not json");
  world.relay();
  world.transform();
  world.sink();
  world.expect_truth(history);
  std::size_t letters = 0;
  for (std::int32_t partition = 0; partition < 2; ++partition) {
    const auto records = world.log.read({"order.events-dlq", partition}, 0, {100, 1u << 20u},
                                        base::Deadline::in(std::chrono::milliseconds(0)));
    ASSERT_TRUE(records);
    for (const ports::Record& record : *records) {
      ++letters;
      EXPECT_TRUE(record.header("reason"));
      EXPECT_EQ(record.header("source-topic"), "order.events");
    }
  }
  EXPECT_EQ(letters, 2u);
}

}  // namespace
}  // namespace millrace
