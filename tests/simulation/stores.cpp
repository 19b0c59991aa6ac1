#include "simulation/stores.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/memory/memory_event_log.h"
#include "support/memory_pipeline.h"

namespace millrace::simulation {
namespace {

using base::Deadline;
using base::Result;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::unexpected<base::Error> away() {
  return base::unavailable("away");
}

/// The stores under the faces never wait: their waits are the scheduler's.
Deadline at_once() {
  return Deadline::at(base::Scheduler::Moment{});
}

}  // namespace

void Counts::add(const Counts& other) {
  for (std::size_t i = 0; i < kFaults; ++i) faults[i] += other.faults[i];
  calls += other.calls;
  incidents += other.incidents;
  beyond_position += other.beyond_position;
  late_former += other.late_former;
  late_outdated += other.late_outdated;
  half_inserts += other.half_inserts;
  marks_refused += other.marks_refused;
  outbox_rows_removed += other.outbox_rows_removed;
  former_relay_dropped += other.former_relay_dropped;
  repeats_of_relay += other.repeats_of_relay;
  repeats_of_transformer += other.repeats_of_transformer;
  sums_read += other.sums_read;
  late_appends += other.late_appends;
}

microseconds Calls::latency() {
  return random_.one_in(4) ? microseconds(0) : random_.up_to(milliseconds(2));
}

std::int64_t Calls::clock_us() const {
  return std::chrono::duration_cast<microseconds>(scheduler_.now().time_since_epoch()).count();
}

bool Calls::tracing() {
  return spdlog::should_log(spdlog::level::debug);
}

void Calls::trace(const char* name, Fault fault) {
  if (!tracing()) return;
  constexpr std::array<const char*, kFaults> kNames = {
      "",           "error",        "lost answer", "half",          "late",
      "conflict",   "crash before", "crash after", "crash halfway", "pause before",
      "pause after"};
  fmt::print("{:>12} process {} kind {} {} {}\n", clock_us(), scheduler_.current().number,
             scheduler_.current().kind, name, kNames[static_cast<std::size_t>(fault)]);
}

Fault Calls::choose(std::string_view name, bool writes) {
  ++counts.calls;
  if (plan_.nth != 0) return counts.calls == plan_.nth ? plan_.nth_fault : Fault::kNone;
  if (calm_) return Fault::kNone;
  // There are many more reads than writes, and less to be broken by them.
  const bool by_chance = plan_.one_in != 0 && random_.one_in(writes ? plan_.one_in : 5 * plan_.one_in);
  if (name == plan_.bad_call && !random_.one_in(3)) {
    constexpr std::array kBad = {Fault::kHalf, Fault::kHalf, Fault::kLostAnswer, Fault::kLate,
                                 Fault::kCrashHalfway};
    return kBad[random_.below(kBad.size())];
  }
  const bool by_plan = plan_.first_by != 0 && counts.calls >= plan_.first_by && !struck_;
  if (!by_chance && !by_plan) return Fault::kNone;
  const auto fault = static_cast<Fault>(1 + random_.below(kFaults - 1));
  return ((plan_.kinds >> static_cast<unsigned>(fault)) & 1u) != 0 || by_plan ? fault : Fault::kNone;
}

Fault Calls::enter(const char* name, Kind kind) {
  Fault fault = choose(name, kind.writes);
  if (fault == Fault::kConflict && !kind.may_conflict) fault = Fault::kError;
  if (fault == Fault::kLate && !kind.may_come_late) fault = Fault::kCrashHalfway;
  if (!kind.writes) {
    if (fault == Fault::kHalf || fault == Fault::kLate) fault = Fault::kError;
    if (fault == Fault::kCrashHalfway) fault = Fault::kCrashBefore;
  }
  if (fault != Fault::kNone) {
    struck_ = true;
    ++counts.faults[static_cast<std::size_t>(fault)];
    scheduler_.mix(static_cast<std::uint64_t>(fault));
  }
  trace(name, fault);
  scheduler_.pass(latency());
  if (fault == Fault::kCrashBefore) {
    on_crash(scheduler_.current());
    scheduler_.crash_here();
  }
  if (fault == Fault::kPauseBefore) {
    on_pause(scheduler_.current());
    scheduler_.pause_here();
  }
  return fault;
}

void Calls::leave(Fault fault) {
  scheduler_.pass(latency());
  if (fault == Fault::kCrashAfter) {
    on_crash(scheduler_.current());
    scheduler_.crash_here();
  }
  if (fault == Fault::kPauseAfter) {
    on_pause(scheduler_.current());
    scheduler_.pause_here();
  }
}

void Calls::later(const char* name, std::function<void(Portion)> work) {
  constexpr std::array<milliseconds, 3> kSpans = {milliseconds(20), milliseconds(3'000),
                                                  milliseconds(90'000)};
  const Portion portion{!random_.one_in(3), random_.next()};
  ++late_;
  scheduler_.after(random_.up_to(kSpans[random_.below(kSpans.size())]),
                   [this, name, work = std::move(work), portion, sender = scheduler_.current().number] {
                     if (tracing())
                       fmt::print("{:>12} process {} late {} {}\n", clock_us(), sender, name,
                                  portion.all ? "all" : "a part");
                     work(portion);
                     --late_;
                   });
}

template <class T, class Do>
Result<T> Calls::read(const char* name, Do effect) {
  const Fault fault = enter(name, {});
  if (fault == Fault::kError) return away();
  Result<T> answer = effect();
  leave(fault);
  if (fault == Fault::kLostAnswer) return away();
  return answer;
}

template <class T, class Do, class Keep>
Result<T> Calls::write(const char* name, Kind kind, Deadline deadline, Do effect, Keep keep) {
  kind.writes = true;
  const Fault fault = enter(name, kind);
  switch (fault) {
    case Fault::kError:
      return away();
    case Fault::kConflict:
      return base::conflict("the assignment has passed to another");
    case Fault::kHalf:
      (void)effect(Portion{false, random_.next()});
      leave(fault);
      return away();
    case Fault::kLate: {
      later(name, keep());
      // Cut off at once, or waited for to the end.
      const auto left = std::chrono::duration_cast<microseconds>(deadline.left());
      scheduler_.pass(random_.one_in(3) ? left : random_.up_to(std::min(left, microseconds(seconds(1)))));
      return away();
    }
    case Fault::kCrashHalfway:
      later(name, keep());
      on_crash(scheduler_.current());
      scheduler_.crash_here();
    default:
      break;
  }
  Result<T> answer = effect(Portion{});
  leave(fault);
  if (fault == Fault::kLostAnswer) return away();
  return answer;
}

base::UtcTime SimulatedClock::now() const {
  // 2026-06-01T00:00:00Z and what has passed.
  return base::utc_from_ms(1'780'272'000'000) + offset_ +
         std::chrono::floor<milliseconds>(scheduler_.now().time_since_epoch());
}

// --- outbox
// ---------------------------------------------------------------------------------------------------------

struct SimulatedOutbox::State {
  test::CallDial dial;  // never armed
  test::MemoryOutbox outbox{dial};
};

class SimulatedOutbox::Lease final : public ports::OutboxLease {
 public:
  Lease(SimulatedOutbox& outbox, std::unique_ptr<ports::OutboxLease> lease)
      : calls_(outbox.calls_), outbox_(outbox.state_->outbox), lease_(std::move(lease)) {}

  [[nodiscard]] std::uint64_t epoch() const override { return lease_->epoch(); }

  Result<std::vector<ports::OutboxRow>> fetch(std::uint64_t after, std::size_t rows_max, Deadline) override {
    return calls_.read<std::vector<ports::OutboxRow>>(
        "fetch", [&] { return lease_->fetch(after, rows_max, at_once()); });
  }
  Result<std::size_t> waiting_up_to(std::uint64_t last, Deadline) override {
    return calls_.read<std::size_t>("waiting_up_to", [&] { return lease_->waiting_up_to(last, at_once()); });
  }
  Result<void> heartbeat(Deadline) override { return {}; }
  Result<std::optional<ports::RelayedTopic>> topic(const std::string& topic, Deadline) override {
    return lease_->topic(topic, at_once());
  }
  Result<void> record_topic(const std::string& topic, const ports::RelayedTopic& now, Deadline) override {
    return lease_->record_topic(topic, now, at_once());
  }
  Result<void> mark_processed(std::span<const std::uint64_t> ids, Deadline deadline) override {
    const auto refuse_or_mark = [&calls = calls_, &outbox = outbox_,
                                 epoch = epoch()](std::span<const std::uint64_t> rows) -> Result<void> {
      if (outbox.mark(epoch, rows)) return {};
      ++calls.counts.marks_refused;
      return base::conflict("another relay has a higher epoch");
    };
    // A transaction has no halves.
    return calls_.write<void>(
        "mark_processed", {}, deadline,
        [&](Calls::Portion portion) -> Result<void> {
          if (!portion.all) return {};
          return refuse_or_mark(ids);
        },
        [&] {
          return [refuse_or_mark,
                  rows = std::vector<std::uint64_t>(ids.begin(), ids.end())](Calls::Portion portion) {
            if (portion.all) (void)refuse_or_mark(rows);
          };
        });
  }
  Result<void> park(std::uint64_t id, const std::string& aggregate_id, Deadline) override {
    return lease_->park(id, aggregate_id, at_once());
  }

 private:
  Calls& calls_;
  test::MemoryOutbox& outbox_;
  std::unique_ptr<ports::OutboxLease> lease_;
};

SimulatedOutbox::SimulatedOutbox(Calls& calls) : calls_(calls), state_(std::make_unique<State>()) {}
SimulatedOutbox::~SimulatedOutbox() = default;

std::uint64_t SimulatedOutbox::add(const std::string& aggregate_id, const std::string& event_type,
                                   const std::string& payload) {
  return state_->outbox.add(aggregate_id, event_type, payload);
}
void SimulatedOutbox::break_lock() {
  state_->outbox.break_lock();
}
std::size_t SimulatedOutbox::waiting() const {
  return state_->outbox.waiting();
}
std::set<std::uint64_t> SimulatedOutbox::parked() const {
  return state_->outbox.parked();
}

Result<std::unique_ptr<ports::OutboxLease>> SimulatedOutbox::acquire(std::int32_t shard, Deadline deadline) {
  return calls_.write<std::unique_ptr<ports::OutboxLease>>(
      "acquire", {}, deadline,
      [&](Calls::Portion portion) -> Result<std::unique_ptr<ports::OutboxLease>> {
        if (!portion.all) {
          state_->outbox.acquire_for_nobody();
          return nullptr;
        }
        MILLRACE_TRY_ASSIGN(auto lease, state_->outbox.acquire(shard, at_once()));
        return std::make_unique<Lease>(*this, std::move(lease));
      },
      [this] { return [this](Calls::Portion) { state_->outbox.acquire_for_nobody(); }; });
}

std::size_t SimulatedOutbox::rows() const {
  return state_->outbox.rows();
}

Result<std::size_t> SimulatedOutbox::remove_processed(base::UtcTime before, std::size_t rows_max,
                                                      Deadline deadline) {
  return calls_.write<std::size_t>(
      "remove_processed", {}, deadline,
      [&](Calls::Portion portion) -> Result<std::size_t> {
        if (!portion.all) return 0;  // a transaction has no halves
        auto removed = state_->outbox.remove_processed(before, rows_max, at_once());
        if (removed) calls_.counts.outbox_rows_removed += *removed;
        return removed;
      },
      [this, before, rows_max] {
        return [this, before, rows_max](Calls::Portion portion) {
          if (portion.all) (void)state_->outbox.remove_processed(before, rows_max, at_once());
        };
      });
}

Result<ports::OutboxDepth> SimulatedOutbox::depth(Deadline) {
  return ports::OutboxDepth{waiting(), parked().size(), std::chrono::milliseconds(0)};
}

// --- event log
// ------------------------------------------------------------------------------------------------------

struct SimulatedLog::State {
  adapters::memory::MemoryEventLog log;
  std::uint64_t appends = 0;
};

std::string topic_id_of(const std::string& topic) {
  return topic + "-1";
}

namespace {
ports::TopicInfo named(ports::TopicInfo info) {
  info.topic_id = topic_id_of(info.topic);
  return info;
}
}  // namespace

class SimulatedLog::Member final : public ports::GroupMember {
 public:
  Member(Calls& calls, std::unique_ptr<ports::GroupMember> member)
      : calls_(calls), member_(std::move(member)) {}

  Result<std::vector<ports::Assignment>> assignments(Deadline) override {
    return calls_.read<std::vector<ports::Assignment>>("assignments",
                                                       [&] { return member_->assignments(at_once()); });
  }
  Result<void> commit(const ports::Assignment& assignment, const ports::CommittedOffset& offset,
                      Deadline deadline) override {
    Calls::Kind kind;
    kind.may_conflict = true;
    // Commits of one member are carried out in their order.
    kind.may_come_late = false;
    return calls_.write<void>(
        "commit", kind, deadline,
        [&](Calls::Portion portion) -> Result<void> {
          if (!portion.all) return {};
          return member_->commit(assignment, offset, at_once());
        },
        [] { return [](Calls::Portion) {}; });
  }

 private:
  Calls& calls_;
  std::unique_ptr<ports::GroupMember> member_;
};

SimulatedLog::SimulatedLog(Calls& calls) : calls_(calls), state_(std::make_unique<State>()) {}
SimulatedLog::~SimulatedLog() = default;

void SimulatedLog::make_topic(const std::string& topic, std::int32_t partitions) {
  (void)state_->log.ensure_topic(topic, partitions, at_once());
}
void SimulatedLog::expire_owner(const std::string& group, const std::string& topic) {
  state_->log.expire_owner(group, topic);
}
std::int64_t SimulatedLog::end(const ports::TopicPartition& partition) const {
  const auto range = state_->log.offsets(partition, at_once());
  return range ? range->end : 0;
}
std::int64_t SimulatedLog::committed_offset(const std::string& group,
                                            const ports::TopicPartition& partition) const {
  const auto committed = state_->log.committed(group, partition, at_once());
  return committed && *committed ? (*committed)->offset : 0;
}

void SimulatedLog::print(const std::string& topic) const {
  const auto info = state_->log.describe_topic(topic, at_once());
  for (std::int32_t partition = 0; info && partition < info->partitions; ++partition) {
    const auto records =
        state_->log.read_before({topic, partition}, end({topic, partition}), 10'000, at_once());
    if (!records) continue;
    for (const ports::Record& record : *records) {
      fmt::print("{}/{} {:>4} {}", topic, partition, record.offset, record.key);
      for (const ports::Header& header : record.headers) fmt::print(" {}={}", header.name, header.value);
      fmt::print("\n");
    }
  }
}

Result<ports::TopicInfo> SimulatedLog::ensure_topic(const std::string& topic, std::int32_t partitions,
                                                    Deadline) {
  return calls_.read<ports::TopicInfo>("ensure_topic", [&]() -> Result<ports::TopicInfo> {
    MILLRACE_TRY_ASSIGN(auto info, state_->log.ensure_topic(topic, partitions, at_once()));
    return named(std::move(info));
  });
}
Result<ports::TopicInfo> SimulatedLog::describe_topic(const std::string& topic, Deadline) {
  return calls_.read<ports::TopicInfo>("describe_topic", [&]() -> Result<ports::TopicInfo> {
    MILLRACE_TRY_ASSIGN(auto info, state_->log.describe_topic(topic, at_once()));
    return named(std::move(info));
  });
}
Result<std::vector<ports::TopicInfo>> SimulatedLog::list_topics(Deadline) {
  return state_->log.list_topics(at_once());
}

Result<std::int64_t> SimulatedLog::append(const ports::TopicPartition& partition,
                                          std::span<const ports::NewRecord> records, Deadline deadline) {
  const auto append_some = [state = state_.get(), partition](std::span<const ports::NewRecord> all,
                                                             Calls::Portion portion) {
    ++state->appends;
    return state->log.append(partition, all.first(portion.leading(all.size())), at_once());
  };
  return calls_.write<std::int64_t>(
      "append", {}, deadline, [&](Calls::Portion portion) { return append_some(records, portion); },
      [&] {
        return [append_some, all = std::vector<ports::NewRecord>(records.begin(), records.end()),
                &counts = calls_.counts](Calls::Portion portion) {
          ++counts.late_appends;
          (void)append_some(all, portion);
        };
      });
}

/// The partitions' records are on their way side by side: a fault leaves another part of each.
Result<std::unique_ptr<ports::PendingAppend>> SimulatedLog::start_append(
    std::span<const ports::PartitionRecords> batches, Deadline deadline) {
  struct Done final : ports::PendingAppend {
    Result<bool> wait(Deadline) override { return true; }
  };
  const auto append_some = [state = state_.get()](std::span<const ports::PartitionRecords> all,
                                                  Calls::Portion portion) -> Result<void> {
    ++state->appends;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::span<const ports::NewRecord> records = all[i].records;
      portion.seed = portion.seed * 6364136223846793005ull + 1442695040888963407ull;
      const Calls::Portion own{portion.all, portion.seed >> 33u};
      MILLRACE_TRY(
          state->log.append(all[i].partition, records.first(own.leading(records.size())), at_once()));
    }
    return {};
  };
  MILLRACE_TRY(calls_.write<void>(
      "append", {}, deadline, [&](Calls::Portion portion) { return append_some(batches, portion); },
      [&] {
        return [append_some, all = std::vector<ports::PartitionRecords>(batches.begin(), batches.end()),
                &counts = calls_.counts](Calls::Portion portion) {
          ++counts.late_appends;
          (void)append_some(all, portion);
        };
      }));
  return std::make_unique<Done>();
}

std::size_t SimulatedLog::record_bytes_max() const {
  return state_->log.record_bytes_max();
}

Result<std::vector<ports::Record>> SimulatedLog::read(const ports::TopicPartition& partition,
                                                      std::int64_t offset, ports::ReadLimit limit,
                                                      Deadline deadline) {
  return calls_.read<std::vector<ports::Record>>("read", [&]() -> Result<std::vector<ports::Record>> {
    for (;;) {
      MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, state_->log.offsets(partition, at_once()));
      if (offset != range.end) return state_->log.read(partition, offset, limit, at_once());
      if (deadline.passed()) return std::vector<ports::Record>{};
      const std::uint64_t seen = state_->appends;
      calls_.scheduler_.wait_until(deadline.moment(), [this, seen] { return state_->appends != seen; });
    }
  });
}

Result<bool> SimulatedLog::wait_any(std::span<const ports::LogPosition> positions, Deadline deadline) {
  return calls_.read<bool>("wait_any", [&]() -> Result<bool> {
    for (;;) {
      const std::uint64_t seen = state_->appends;
      MILLRACE_TRY_ASSIGN(const bool came, state_->log.wait_any(positions, at_once()));
      if (came || deadline.passed()) return came;
      calls_.scheduler_.wait_until(deadline.moment(), [this, seen] { return state_->appends != seen; });
    }
  });
}

Result<std::vector<ports::Record>> SimulatedLog::read_before(const ports::TopicPartition& partition,
                                                             std::int64_t position, std::size_t count,
                                                             Deadline) {
  return calls_.read<std::vector<ports::Record>>(
      "read_before", [&] { return state_->log.read_before(partition, position, count, at_once()); });
}

Result<ports::OffsetRange> SimulatedLog::offsets(const ports::TopicPartition& partition, Deadline) {
  return calls_.read<ports::OffsetRange>("offsets",
                                         [&] { return state_->log.offsets(partition, at_once()); });
}

Result<void> SimulatedLog::delete_records(const ports::TopicPartition& partition, std::int64_t offset,
                                          Deadline) {
  return state_->log.delete_records(partition, offset, at_once());
}

Result<std::unique_ptr<ports::GroupMember>> SimulatedLog::join(const std::string& group,
                                                               const std::string& topic, Deadline) {
  return calls_.read<std::unique_ptr<ports::GroupMember>>(
      "join", [&]() -> Result<std::unique_ptr<ports::GroupMember>> {
        MILLRACE_TRY_ASSIGN(auto member, state_->log.join(group, topic, at_once()));
        return std::make_unique<Member>(calls_, std::move(member));
      });
}

Result<std::optional<ports::CommittedOffset>> SimulatedLog::committed(const std::string& group,
                                                                      const ports::TopicPartition& partition,
                                                                      Deadline) {
  return calls_.read<std::optional<ports::CommittedOffset>>(
      "committed", [&] { return state_->log.committed(group, partition, at_once()); });
}

Result<std::vector<ports::GroupOffset>> SimulatedLog::list_group_offsets(Deadline) {
  return state_->log.list_group_offsets(at_once());
}

// --- tables
// ---------------------------------------------------------------------------------------------------------

struct SimulatedTables::State {
  test::CallDial dial;  // never armed
  test::MemoryTables tables{dial};
  int owner = 0;  // the process that read a position last
};

SimulatedTables::SimulatedTables(Calls& calls, const SimulatedClock& clock)
    : calls_(calls), clock_(clock), state_(std::make_unique<State>()) {}
SimulatedTables::~SimulatedTables() = default;

std::map<std::string, SimulatedTables::Order> SimulatedTables::orders() const {
  std::map<std::string, Order> orders;
  for (auto& [id, row] : state_->tables.base_rows()) orders[id] = {row.version, row.is_deleted, row.image};
  return orders;
}
std::map<std::string, sink::Sums> SimulatedTables::sums() const {
  return state_->tables.sums();
}
bool SimulatedTables::clash() const {
  return state_->tables.clash();
}
std::uint64_t SimulatedTables::position_of(const std::string& source) const {
  const auto position = state_->tables.position(source, at_once());
  return position ? position->as_of_offset : 0;
}

Result<sink::Generation> SimulatedTables::generation(Deadline) {
  return calls_.read<sink::Generation>("generation", [&] { return state_->tables.generation(at_once()); });
}

Result<std::map<domain::OrderId, std::uint64_t>> SimulatedTables::snapshot_versions(
    std::uint32_t generation, std::span<const domain::OrderId> orders, Deadline) {
  return calls_.read<std::map<domain::OrderId, std::uint64_t>>(
      "snapshot_versions", [&] { return state_->tables.snapshot_versions(generation, orders, at_once()); });
}

Result<sink::SinkPosition> SimulatedTables::position(const std::string& source, Deadline) {
  return calls_.read<sink::SinkPosition>("position", [&] {
    auto position = state_->tables.position(source, at_once());
    state_->owner = calls_.scheduler_.current().number;
    if (position && state_->tables.newest_as_of_offset(source) > position->as_of_offset)
      ++calls_.counts.beyond_position;
    return position;
  });
}

Result<void> SimulatedTables::write_positions(const std::map<std::string, sink::SinkPosition>& positions,
                                              base::UtcTime now, Deadline deadline) {
  const auto write = [state = state_.get(), now](const std::map<std::string, sink::SinkPosition>& all,
                                                 Calls::Portion portion) {
    std::map<std::string, sink::SinkPosition> some;
    std::size_t part = 0;
    for (const auto& entry : all)
      if (portion.holds(part++)) some.insert(entry);
    return state->tables.write_positions(some, now, at_once());
  };
  return calls_.write<void>(
      "write_positions", {}, deadline, [&](Calls::Portion portion) { return write(positions, portion); },
      [&] { return [write, all = positions](Calls::Portion portion) { (void)write(all, portion); }; });
}

Result<base::UtcTime> SimulatedTables::now(Deadline) {
  return calls_.read<base::UtcTime>("now", [&]() -> Result<base::UtcTime> { return clock_.now(); });
}

Result<void> SimulatedTables::insert_base(std::span<const domain::AnalyticsRow* const> rows,
                                          base::UtcTime loaded_at, base::UtcTime not_after,
                                          Deadline deadline) {
  const auto insert = [this, loaded_at, not_after](std::span<const domain::AnalyticsRow* const> all,
                                                   Calls::Portion portion) -> Result<void> {
    if (clock_.now() > not_after) return base::unavailable("the insert came after its not_after", 469);
    std::vector<const domain::AnalyticsRow*> some;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (portion.holds(i)) some.push_back(all[i]);
    if (!portion.all) ++calls_.counts.half_inserts;
    return state_->tables.insert_base(some, loaded_at, not_after, at_once());
  };
  return calls_.write<void>(
      "insert_base", {}, deadline, [&](Calls::Portion portion) { return insert(rows, portion); },
      [&] {
        std::vector<domain::AnalyticsRow> kept;
        for (const domain::AnalyticsRow* row : rows) kept.push_back(*row);
        return [insert, kept = std::move(kept)](Calls::Portion portion) {
          std::vector<const domain::AnalyticsRow*> all;
          for (const domain::AnalyticsRow& row : kept) all.push_back(&row);
          (void)insert(all, portion);
        };
      });
}

Result<std::map<domain::OrderId, std::uint64_t>> SimulatedTables::purged_versions(
    std::span<const domain::OrderId> orders, Deadline) {
  return calls_.read<std::map<domain::OrderId, std::uint64_t>>(
      "purged_versions", [&] { return state_->tables.purged_versions(orders, at_once()); });
}

Result<void> SimulatedTables::insert_rollups(std::span<const sink::RollupRow> rows, Deadline deadline) {
  struct Kept {
    sink::RollupKey key;
    std::string source;
    sink::CumulativeAggregate sum;
  };
  const auto insert = [this](std::span<const sink::RollupRow> all, Calls::Portion portion) {
    std::vector<sink::RollupRow> some;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (portion.holds(i)) some.push_back(all[i]);
    if (!portion.all) ++calls_.counts.half_inserts;
    return state_->tables.insert_rollups(some, at_once());
  };
  return calls_.write<void>(
      "insert_rollups", {}, deadline, [&](Calls::Portion portion) { return insert(rows, portion); },
      [&] {
        std::vector<Kept> kept;
        for (const sink::RollupRow& row : rows) kept.push_back({*row.key, *row.source, row.sum});
        return [this, insert, kept = std::move(kept),
                sender = calls_.scheduler_.current().number](Calls::Portion portion) {
          std::vector<sink::RollupRow> all;
          for (const Kept& row : kept) all.push_back({&row.key, &row.source, row.sum});
          if (sender != state_->owner) ++calls_.counts.late_former;
          if (state_->tables.outdated(all) > 0) ++calls_.counts.late_outdated;
          (void)insert(all, portion);
        };
      });
}

Result<sink::RollupCache> SimulatedTables::load_cache(const std::string& source, std::size_t keys_max,
                                                      Deadline) {
  return calls_.read<sink::RollupCache>(
      "load_cache", [&] { return state_->tables.load_cache(source, keys_max, at_once()); });
}

Result<std::vector<std::pair<sink::RollupKey, sink::CumulativeAggregate>>> SimulatedTables::read_sums(
    const std::string& source, std::span<const sink::RollupKey> keys, Deadline) {
  return calls_.read<std::vector<std::pair<sink::RollupKey, sink::CumulativeAggregate>>>(
      "read_sums", [&] { return state_->tables.read_sums(source, keys, at_once()); });
}

}  // namespace millrace::simulation
