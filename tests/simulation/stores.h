// The outbox, the event log and the sink's tables as the stages of a simulation see them: every call is a
// wait for the scheduler, and may go wrong in every way that a call to another machine can.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "ports/clock.h"
#include "ports/event_log.h"
#include "ports/outbox.h"
#include "simulation/scheduler.h"
#include "sink/tables.h"

namespace millrace::simulation {

enum class Fault : std::uint8_t {
  kNone,
  kError,         ///< Nothing is done.
  kLostAnswer,    ///< Done in full, but the caller is told an error.
  kHalf,          ///< A part of it is done; an error.
  kLate,          ///< An error, and all or a part of it is done later, perhaps long after.
  kConflict,      ///< Nothing is done: the assignment has passed to another.
  kCrashBefore,   ///< The caller's process dies, nothing is done.
  kCrashAfter,    ///< Done, then the caller's process dies.
  kCrashHalfway,  ///< The caller's process dies, and all or a part of it is done later.
  kPauseBefore,   ///< The caller's process stops before it is done, for longer than every time-out.
  kPauseAfter,    ///< The same between its being done and the answer.
};
inline constexpr std::size_t kFaults = 11;

/// What the faults of a run have hit. All add up.
struct Counts {
  std::array<std::uint64_t, kFaults> faults{};  ///< By Fault.
  std::uint64_t calls = 0;
  std::uint64_t incidents = 0;        ///< Crashes, pauses and take-overs that the script asked for.
  std::uint64_t beyond_position = 0;  ///< Sinks that started and found sums beyond the position.
  std::uint64_t late_former =
      0;  ///< Inserts of a sink that was gone or no longer the owner, written all the same.
  std::uint64_t late_outdated = 0;  ///< Of the inserts that came late, those that found newer sums.
  std::uint64_t half_inserts = 0;
  std::uint64_t marks_refused = 0;  ///< Of relays that had lost the lock.
  std::uint64_t outbox_rows_removed = 0;
  std::uint64_t former_relay_dropped = 0;    ///< Records of a lower epoch that the transformer dropped.
  std::uint64_t repeats_of_relay = 0;        ///< Dropped by the transformer.
  std::uint64_t repeats_of_transformer = 0;  ///< Dropped by the sink.
  std::uint64_t sums_read = 0;               ///< Running sums that were not in memory.
  std::uint64_t late_appends = 0;
  void add(const Counts& other);
};

/// Which calls go wrong. Given by the world.
struct FaultPlan {
  std::uint64_t one_in = 0;     ///< One write in so many goes wrong, and fewer reads; 0: none by chance.
  std::string_view bad_call;    ///< Two writes of three of this name go wrong: in part, unanswered or late.
  std::uint64_t kinds = ~0ull;  ///< Bit per Fault: which may be chosen.
  std::uint64_t first_by = 0;   ///< The call with this number goes wrong if none before it did; 0: none.
  std::uint64_t nth = 0;        ///< The n-th call goes wrong with `nth_fault`; 0: none.
  Fault nth_fault = Fault::kNone;
};

/// Decides, counts, and carries faults out.
class Calls {
 public:
  Calls(Scheduler& scheduler, Random random, FaultPlan plan)
      : scheduler_(scheduler), random_(random), plan_(plan) {}

  /// From now on nothing goes wrong any more; what is late comes still.
  void calm() { calm_ = true; }
  [[nodiscard]] bool is_calm() const { return calm_; }
  [[nodiscard]] bool late_work() const { return late_ > 0; }

  // What the world does about a process that was paused or has crashed.
  std::function<void(Process&)> on_pause;
  std::function<void(Process&)> on_crash;

  Counts counts;

 private:
  friend class SimulatedLog;
  friend class SimulatedOutbox;
  friend class SimulatedTables;

  /// How much of a write is done. Parts are counted by what is written.
  struct Portion {
    bool all = true;
    std::uint64_t seed = 0;
    [[nodiscard]] std::size_t leading(std::size_t parts) const {
      return all || parts == 0 ? parts : seed % parts;
    }
    [[nodiscard]] bool holds(std::size_t part) const { return all || ((seed >> (part % 61)) & 1u) != 0; }
  };
  struct Kind {
    bool writes = false;
    bool may_conflict = false;
    bool may_come_late = true;  ///< While its caller lives.
  };

  Fault choose(std::string_view name, bool writes);
  Fault enter(const char* name, Kind kind);
  static bool tracing();
  void trace(const char* name, Fault fault);
  [[nodiscard]] std::int64_t clock_us() const;
  void leave(Fault fault);
  void later(const char* name, std::function<void(Portion)> work);
  [[nodiscard]] std::chrono::microseconds latency();

  template <class T, class Do>
  base::Result<T> read(const char* name, Do effect);
  template <class T, class Do, class Keep>
  base::Result<T> write(const char* name, Kind kind, base::Deadline deadline, Do effect, Keep keep);

  Scheduler& scheduler_;
  Random random_;
  FaultPlan plan_;
  bool calm_ = false;
  bool struck_ = false;
  std::uint64_t late_ = 0;
};

/// The wall clock of all processes: the simulation's time, put forth and back by the script.
class SimulatedClock final : public ports::Clock {
 public:
  explicit SimulatedClock(Scheduler& scheduler) : scheduler_(scheduler) {}
  [[nodiscard]] base::UtcTime now() const override;
  void step(std::chrono::milliseconds by) { offset_ += by; }

 private:
  Scheduler& scheduler_;
  std::chrono::milliseconds offset_{0};
};

/// One for all processes.
class SimulatedOutbox final : public ports::Outbox {
 public:
  explicit SimulatedOutbox(Calls& calls);
  ~SimulatedOutbox() override;

  /// A committed row.
  std::uint64_t add(const std::string& aggregate_id, const std::string& event_type,
                    const std::string& payload);
  void break_lock();
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::set<std::uint64_t> parked() const;

  base::Result<std::unique_ptr<ports::OutboxLease>> acquire(std::int32_t shard,
                                                            base::Deadline deadline) override;
  base::Result<ports::OutboxDepth> depth(base::Deadline deadline) override;
  base::Result<std::size_t> remove_processed(base::UtcTime before, std::size_t rows_max,
                                             base::Deadline deadline) override;
  [[nodiscard]] std::size_t rows() const;

 private:
  class Lease;
  struct State;
  Calls& calls_;
  std::unique_ptr<State> state_;
};

/// One for all processes.
class SimulatedLog final : public ports::EventLog {
 public:
  explicit SimulatedLog(Calls& calls);
  ~SimulatedLog() override;

  // Without a wait or a fault, for the world.
  void make_topic(const std::string& topic, std::int32_t partitions);
  void expire_owner(const std::string& group, const std::string& topic);
  [[nodiscard]] std::int64_t end(const ports::TopicPartition& partition) const;
  [[nodiscard]] std::int64_t committed_offset(const std::string& group,
                                              const ports::TopicPartition& partition) const;

  /// Offset, key, and headers of all records.
  void print(const std::string& topic) const;

  base::Result<ports::TopicInfo> ensure_topic(const std::string& topic, std::int32_t partitions,
                                              base::Deadline deadline) override;
  base::Result<ports::TopicInfo> describe_topic(const std::string& topic, base::Deadline deadline) override;
  base::Result<std::vector<ports::TopicInfo>> list_topics(base::Deadline deadline) override;
  base::Result<std::int64_t> append(const ports::TopicPartition& partition,
                                    std::span<const ports::NewRecord> records,
                                    base::Deadline deadline) override;
  base::Result<std::unique_ptr<ports::PendingAppend>> start_append(
      std::span<const ports::PartitionRecords> batches, base::Deadline deadline) override;
  [[nodiscard]] std::size_t record_bytes_max() const override;
  base::Result<std::vector<ports::Record>> read(const ports::TopicPartition& partition, std::int64_t offset,
                                                ports::ReadLimit limit, base::Deadline deadline) override;
  base::Result<bool> wait_any(std::span<const ports::LogPosition> positions,
                              base::Deadline deadline) override;
  base::Result<std::vector<ports::Record>> read_before(const ports::TopicPartition& partition,
                                                       std::int64_t position, std::size_t count,
                                                       base::Deadline deadline) override;
  base::Result<ports::OffsetRange> offsets(const ports::TopicPartition& partition,
                                           base::Deadline deadline) override;
  base::Result<void> delete_records(const ports::TopicPartition& partition, std::int64_t offset,
                                    base::Deadline deadline) override;
  base::Result<std::unique_ptr<ports::GroupMember>> join(const std::string& group, const std::string& topic,
                                                         base::Deadline deadline) override;
  base::Result<std::optional<ports::CommittedOffset>> committed(const std::string& group,
                                                                const ports::TopicPartition& partition,
                                                                base::Deadline deadline) override;
  base::Result<std::vector<ports::GroupOffset>> list_group_offsets(base::Deadline deadline) override;

 private:
  class Member;
  struct State;
  Calls& calls_;
  std::unique_ptr<State> state_;
};

/// One for all processes; a process gets its own face of it, so that what comes late is known by its sender.
class SimulatedTables final : public sink::SinkTables {
 public:
  explicit SimulatedTables(Calls& calls, const SimulatedClock& clock);
  ~SimulatedTables() override;

  struct Order {
    std::uint64_t version = 0;
    bool is_deleted = false;
    domain::AnalyticsImage image;
  };
  [[nodiscard]] std::map<std::string, Order> orders() const;
  [[nodiscard]] std::map<std::string, sink::Sums> sums() const;
  /// Two different values for one key, source and offset were written.
  [[nodiscard]] bool clash() const;
  [[nodiscard]] std::uint64_t position_of(const std::string& source) const;

  base::Result<sink::Generation> generation(base::Deadline deadline) override;
  base::Result<std::map<domain::OrderId, std::uint64_t>> snapshot_versions(
      std::uint32_t generation, std::span<const domain::OrderId> orders, base::Deadline deadline) override;
  base::Result<sink::SinkPosition> position(const std::string& source, base::Deadline deadline) override;
  base::Result<void> write_positions(const std::map<std::string, sink::SinkPosition>& positions,
                                     base::UtcTime now, base::Deadline deadline) override;
  base::Result<base::UtcTime> now(base::Deadline deadline) override;
  base::Result<void> insert_base(std::span<const domain::AnalyticsRow* const> rows, base::UtcTime loaded_at,
                                 base::UtcTime not_after, base::Deadline deadline) override;
  base::Result<std::map<domain::OrderId, std::uint64_t>> purged_versions(
      std::span<const domain::OrderId> orders, base::Deadline deadline) override;
  base::Result<void> insert_rollups(std::span<const sink::RollupRow> rows, base::Deadline deadline) override;
  base::Result<sink::RollupCache> load_cache(const std::string& source, std::size_t keys_max,
                                             base::Deadline deadline) override;
  base::Result<std::vector<std::pair<sink::RollupKey, sink::CumulativeAggregate>>> read_sums(
      const std::string& source, std::span<const sink::RollupKey> keys, base::Deadline deadline) override;

 private:
  struct State;
  Calls& calls_;
  const SimulatedClock& clock_;
  std::unique_ptr<State> state_;
};

/// What the log says a topic's topic id is; a sink's source is made of it.
[[nodiscard]] std::string topic_id_of(const std::string& topic);

}  // namespace millrace::simulation
