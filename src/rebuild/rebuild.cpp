#include "rebuild/rebuild.h"

#include <algorithm>
#include <array>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/exceptions.h"
#include "base/uuid.h"
#include "sink/snapshot_loader.h"

namespace millrace::rebuild {
namespace {

constexpr std::chrono::milliseconds kProgressInterval{100};
constexpr std::string_view kSnapshotTable = "snapshot";
constexpr std::string_view kBaseTable = "orders_analytics";
constexpr std::string_view kRollupTable = "rollups";

/// As the warehouse shows it, without deltas: an image before stands there for its form only.
domain::AnalyticsRow row_of(const ports::StoredOrder& order, base::UtcTime now) {
  domain::AnalyticsRow row;
  row.order_id = order.image.order_id;
  row.version = order.version;
  row.current = domain::analytics_image_of(order.image);
  if (order.deleted_at) {
    row.type = domain::OrderEventType::kDeleted;
    row.deleted_at = std::chrono::floor<std::chrono::seconds>(*order.deleted_at);
  } else if (order.updated_at > order.image.created_at) {
    row.type = domain::OrderEventType::kStatusChanged;
  }
  if (row.type != domain::OrderEventType::kCreated) row.before = row.current;
  row.occurred_at = order.updated_at;
  row.relayed_at = row.transformed_at = now;
  return row;
}

base::Result<void> unless_stopped(const jobs::Attempt& attempt) {
  if (attempt.stop().requested()) return base::unavailable("the rebuild was asked to stop; it resumes later");
  return {};
}

}  // namespace

Rebuild::Rebuild(ports::OrderStore& store, ports::EventLog& log, ports::Warehouse& warehouse,
                 const ports::Clock& clock, TableStatements statements, Options options, Hold hold)
    : store_(store),
      log_(log),
      warehouse_(warehouse),
      clock_(clock),
      generations_(warehouse, std::move(statements)),
      options_(std::move(options)),
      hold_(std::move(hold)) {}

std::string Rebuild::fresh_name(std::string_view table, std::uint32_t generation) const {
  std::string unused = base::uuid_v7(clock_.now());
  std::erase(unused, '-');
  return fmt::format("{}_g{}_{}", table, generation, unused);
}

sink::WarehouseTables Rebuild::shadow_tables(const State& state) {
  return {warehouse_, sink::ShadowGeneration{.generation = state.generation,
                                             .base = "analytics." + state.base,
                                             .rollups = "analytics." + state.rollups}};
}

base::Result<void> Rebuild::begin(State& state) {
  MILLRACE_TRY(generations_.check_database(soon()));
  sink::WarehouseTables live(warehouse_);
  MILLRACE_TRY_ASSIGN(const sink::Generation active, live.generation(soon()));
  MILLRACE_TRY_ASSIGN(const ports::TopicInfo topic, log_.describe_topic(options_.sink.topic, soon()));
  MILLRACE_TRY_ASSIGN(state.generation.number, generations_.take_number(soon()));
  state.topic_id = topic.topic_id;
  state.positions.clear();
  for (std::int32_t partition = 0; partition < topic.partitions; ++partition) {
    MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log_.offsets({topic.topic, partition}, soon()));
    MILLRACE_TRY_ASSIGN(sink::SinkPosition position,
                        live.position(sink::source_name(active, topic.topic_id, partition), soon()));
    // A position that the log cannot serve is of no use, and none is needed: whatever is in the log was
    // committed in the order store before the snapshot is taken, which is newer for each of these orders.
    const auto as_of_offset = static_cast<std::int64_t>(position.as_of_offset);
    if (as_of_offset < range.begin || as_of_offset > range.end)
      position = {.as_of_offset = static_cast<std::uint64_t>(range.begin), .input_offset = -1};
    state.positions.push_back({partition, position});
  }
  state.staging = fresh_name(kSnapshotTable, state.generation.number);
  state.base = fresh_name(kBaseTable, state.generation.number);
  state.rollups = fresh_name(kRollupTable, state.generation.number);
  return {};
}

base::Result<void> Rebuild::create(State& state) {
  MILLRACE_TRY_ASSIGN(
      const Generations::Uuids uuids,
      generations_.create(state.generation.number, state.staging, state.base, state.rollups, soon()));
  state.base_uuid = uuids.base;
  state.rollups_uuid = uuids.rollups;
  std::map<std::string, sink::SinkPosition> positions;
  for (const StartPosition& start : state.positions)
    positions.emplace(sink::source_name(state.generation, state.topic_id, start.partition), start.position);
  return shadow_tables(state).write_positions(positions, clock_.now(), soon());
}

/// Chunk by chunk, each an ordinary read: no long transaction, and no moment that is the same for all orders.
/// A chunk may be read and written twice; of an order the higher version stays, and what comes in late is the
/// older.
base::Result<void> Rebuild::take_snapshot(State& state, jobs::Attempt& attempt) {
  MILLRACE_TRY_ASSIGN(const bool is_complete, generations_.is_complete(state.generation.number, soon()));
  while (!is_complete) {
    attempt.set_progress(fmt::format("reading orders: {} so far", state.orders));
    MILLRACE_TRY(unless_stopped(attempt));
    MILLRACE_TRY_ASSIGN(const auto orders,
                        store_.orders_after(domain::OrderId(state.last_id), options_.chunk_orders, soon()));
    std::vector<domain::AnalyticsRow> rows;
    rows.reserve(orders.size());
    // An order of version 0 was there before the pipeline and has not been announced to it: it counts from
    // its first event on.
    for (const ports::StoredOrder& order : orders)
      if (order.version > 0) rows.push_back(row_of(order, clock_.now()));
    MILLRACE_TRY(generations_.stage(state.staging, rows, soon()));
    state.orders += rows.size();
    if (orders.size() < options_.chunk_orders) {
      MILLRACE_TRY(generations_.complete(state.generation.number, state.staging, soon()));
      break;
    }
    state.last_id = orders.back().image.order_id.value();
    MILLRACE_TRY(attempt.save(to_json(state)));
  }
  MILLRACE_TRY_ASSIGN(const Generations::Staged staged, generations_.staged(state.generation.number, soon()));
  state.generation.snapshot_version_max = staged.version_max;
  const std::uint64_t order_bytes =
      std::max<std::uint64_t>(1, staged.bytes / std::max<std::uint64_t>(1, staged.orders));
  state.slice_orders =
      std::clamp<std::uint64_t>(options_.slice_bytes / order_bytes, 1, options_.slice_orders);
  state.orders = staged.orders;
  state.last_id.clear();
  return {};
}

/// The staged orders no longer change, so slice k is the same rows whenever it is taken.
base::Result<void> Rebuild::fill(State& state, jobs::Attempt& attempt) {
  auto tables = shadow_tables(state);
  MILLRACE_TRY_ASSIGN(auto loader, sink::SnapshotLoader::open(
                                       tables, clock_,
                                       {.base_rows = {.insert_timeout = options_.sink.insert_timeout,
                                                      .query_timeout = options_.sink.query_timeout,
                                                      .purged_check_age = options_.sink.purged_check_age},
                                        .cached_keys_max = options_.sink.cached_keys_max}));
  for (;;) {
    attempt.set_progress(fmt::format("filling the new tables: {} of {} orders",
                                     std::min(state.slice * state.slice_orders, state.orders), state.orders));
    MILLRACE_TRY(unless_stopped(attempt));
    MILLRACE_TRY_ASSIGN(Generations::Slice slice,
                        generations_.staged_after(state.generation.number, state.last_id,
                                                  static_cast<std::size_t>(state.slice_orders), soon()));
    if (slice.orders == 0) return {};
    state.skipped += slice.orders - slice.rows.size();
    MILLRACE_TRY(loader.load(state.slice, std::move(slice.rows), attempt.stop()));
    if (slice.orders < state.slice_orders) return {};
    state.last_id = std::move(slice.last_id);
    ++state.slice;
    MILLRACE_TRY(attempt.save(to_json(state)));
  }
}

/// True when all that was in the log at some moment was loaded within `caught_up_within` of it; false when
/// `ended` came first.
base::Result<bool> Rebuild::wait_until_caught_up(const State& state, sink::SinkTables& tables,
                                                 jobs::Attempt& attempt, const base::StopSignal& ended) {
  for (;;) {
    std::vector<std::uint64_t> ends;
    for (const StartPosition& start : state.positions) {
      MILLRACE_TRY_ASSIGN(const ports::OffsetRange range,
                          log_.offsets({options_.sink.topic, start.partition}, soon()));
      ends.push_back(static_cast<std::uint64_t>(range.end));
    }
    const auto in_time = base::Deadline::in(options_.caught_up_within);
    for (;;) {
      std::uint64_t behind = 0;
      for (std::size_t i = 0; i < ends.size(); ++i) {
        const std::string source =
            sink::source_name(state.generation, state.topic_id, state.positions[i].partition);
        MILLRACE_TRY_ASSIGN(const sink::SinkPosition loaded, tables.position(source, soon()));
        behind += ends[i] > loaded.as_of_offset ? ends[i] - loaded.as_of_offset : 0;
      }
      if (behind == 0) break;
      attempt.set_progress(fmt::format("catching up with the log: {} rows behind", behind));
      if (attempt.stop().wait_for(kProgressInterval) || ended.requested()) return false;
    }
    if (!in_time.passed()) return true;
  }
}

base::Result<void> Rebuild::catch_up(const State& state, jobs::Attempt& attempt) {
  auto tables = shadow_tables(state);
  sink::Options sink_options = options_.sink;
  sink_options.group = options_.group;
  sink::Sink shadow(log_, tables, clock_, sink_options);
  base::StopSignal stop;
  base::StopSignal ended;
  base::Result<void> outcome = {};
  std::thread thread([&] {
    outcome = base::without_exceptions([&] { return shadow.run(stop); });
    ended.request();
  });
  const auto caught_up = wait_until_caught_up(state, tables, attempt, ended);
  stop.request();
  thread.join();
  MILLRACE_TRY(std::move(outcome));
  if (!caught_up) return std::unexpected(caught_up.error());
  return unless_stopped(attempt);
}

base::Result<void> Rebuild::exchange(const State& state, jobs::Attempt& attempt) {
  attempt.set_progress("putting the new tables in the place of the old ones");
  const std::uint32_t number = state.generation.number;
  MILLRACE_TRY(generations_.put_in_place(std::string(kRollupTable), number, state.rollups_uuid,
                                         fresh_name(kRollupTable, number), soon()));
  MILLRACE_TRY(generations_.put_in_place(std::string(kBaseTable), number, state.base_uuid,
                                         fresh_name(kBaseTable, number), soon()));
  return generations_.activate(state.generation, clock_.now(), soon());
}

base::Result<std::string> Rebuild::carry_on(State& state, jobs::Attempt& attempt) {
  const auto next = [&](Phase phase) {
    state.phase = phase;
    spdlog::info("rebuild: generation {}: {}", state.generation.number, to_string(phase));
    return attempt.save(to_json(state));
  };
  for (;;) {
    MILLRACE_TRY(unless_stopped(attempt));
    switch (state.phase) {
      case Phase::kBegin:
        attempt.set_progress("looking where the live tables stand");
        MILLRACE_TRY(begin(state));
        MILLRACE_TRY(next(Phase::kCreate));
        break;
      case Phase::kCreate:
        MILLRACE_TRY(create(state));
        MILLRACE_TRY(next(Phase::kSnapshot));
        break;
      case Phase::kSnapshot:
        MILLRACE_TRY(take_snapshot(state, attempt));
        MILLRACE_TRY(next(Phase::kFill));
        break;
      case Phase::kFill:
        MILLRACE_TRY(fill(state, attempt));
        MILLRACE_TRY(next(Phase::kCatchUp));
        break;
      case Phase::kCatchUp:
        MILLRACE_TRY(catch_up(state, attempt));
        MILLRACE_TRY(next(Phase::kExchange));
        break;
      case Phase::kExchange:
        MILLRACE_TRY(exchange(state, attempt));
        MILLRACE_TRY(next(Phase::kClean));
        break;
      case Phase::kClean:
        attempt.set_progress("dropping what was replaced");
        MILLRACE_TRY(generations_.drop_others(state.generation.number, soon()));
        return fmt::format(
            "generation {} is in use, made from {} orders and the log after them{}", state.generation.number,
            state.orders,
            state.skipped == 0
                ? ""
                : fmt::format("; {} of the orders cannot be in the warehouse (the log names them)",
                              state.skipped));
    }
  }
}

base::Result<std::string> Rebuild::run(const ports::Job&, jobs::Attempt& attempt) {
  const ScopedHold hold(hold_);
  MILLRACE_TRY_ASSIGN(State state, parse_state(attempt.checkpoint()));
  auto outcome = carry_on(state, attempt);
  const bool is_final = !outcome && outcome.error().kind != base::ErrorKind::kUnavailable &&
                        outcome.error().kind != base::ErrorKind::kConflict;
  if (is_final && state.phase > Phase::kBegin && state.phase < Phase::kExchange)
    if (auto dropped = generations_.drop(state.generation.number, soon()); !dropped)
      spdlog::warn("rebuild: dropping the tables of generation {}: {}; the next rebuild does it",
                   state.generation.number, dropped.error().message);
  return outcome;
}

base::Result<bool> Rebuild::cancel(const ports::Job&, jobs::Attempt& attempt) {
  MILLRACE_TRY_ASSIGN(const State state, parse_state(attempt.checkpoint()));
  if (state.phase >= Phase::kExchange) return false;
  if (state.phase > Phase::kBegin) MILLRACE_TRY(generations_.drop(state.generation.number, soon()));
  return true;
}

}  // namespace millrace::rebuild
