// Stage 4: reads orders_analytics, writes base rows and running sums.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/async_task.h"
#include "base/backoff.h"
#include "base/deadline.h"
#include "base/outage_logger.h"
#include "base/result.h"
#include "base/stop.h"
#include "domain/analytics_row.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "sink/base_rows.h"
#include "sink/cumulative_aggregates.h"
#include "sink/rejected_rows.h"
#include "sink/rollups.h"
#include "sink/tables.h"
#include "telemetry/registry.h"

namespace millrace::sink {

/// What the sink measures, where somebody wants it.
struct Metrics {
  telemetry::Histogram freshness;  ///< Commit to visible, of each row.
  telemetry::Histogram batch_rows;
  telemetry::Histogram insert_base;
  telemetry::Histogram insert_rollups;
};

struct Options {
  Metrics metrics = {};
  std::string topic = "orders_analytics";
  std::string dead_letter_topic = "orders_analytics-dlq";
  std::string group = "clickhouse-sink-orders";
  std::size_t batch_rows_max = 20'000;       ///< Over all partitions.
  std::size_t batch_bytes_max = 32u << 20u;  ///< Of records read for one batch, over all partitions.
  std::chrono::milliseconds max_delay{
      10};  ///< How long a row may wait for others before its batch is written.
  std::chrono::milliseconds position_interval{200};  ///< Between writes of the position while rows flow.
  std::chrono::milliseconds idle_wait{200};          ///< The longest sleep; a record ends it at once.
  std::chrono::milliseconds insert_timeout{30'000};
  std::chrono::milliseconds query_timeout{60'000};
  std::chrono::milliseconds call_timeout{10'000};  ///< Of one call to the log.
  std::chrono::milliseconds commit_timeout{500};   ///< Of one commit to the log; it is tried again later.
  /// How often it is looked whether the topic is still the same, and has as many partitions as before.
  std::chrono::milliseconds topic_check_interval{5'000};
  std::size_t cached_keys_max =
      300'000;  ///< Running sums kept in memory per partition, about 300 bytes each.
  /// Rows whose version is older than this are looked up among the purged orders before they enter the base
  /// table. At most half of the purge's period: clocks may differ by the other half.
  std::chrono::milliseconds purged_check_age{3'600'000};
};

/// Readable at any time from any thread.
struct Stats {
  base::StageHealth health;
  std::atomic<std::size_t> partitions{0};  ///< That this stage has now.
  std::atomic<std::uint64_t> rows_loaded{0};
  std::atomic<std::uint64_t> repeats_dropped{0};
  std::atomic<std::uint64_t> dead_letters{0};
  std::atomic<std::uint64_t> purged_rows_skipped{0};  ///< Of orders that the purge has removed.
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> half_batches{0};  ///< Of which one of the two inserts failed.
  std::atomic<std::uint64_t> keys_read{
      0};  ///< Running sums read from the warehouse because they were not in memory.
  std::atomic<std::uint64_t> restarts{0};  ///< Times that it went back to the position in the warehouse.
  std::atomic<std::int64_t> last_freshness_ms{
      0};  ///< Commit to visible, of the oldest row of the last batch.
};

/// The first record that a sink needs whose commit this is: what was loaded is below. An offset that somebody
/// else committed says nothing: 0.
[[nodiscard]] std::int64_t needed_from(const ports::CommittedOffset& committed);

/// One caller thread for `run`.
class Sink {
 public:
  Sink(ports::EventLog& log, SinkTables& tables, const ports::Clock& clock, Options options);

  /// Loads until `stop`; waits out outages of the log and the warehouse, going back to the position in the
  /// warehouse after every error, into the generation of the tables that is then the active one. Errors:
  /// kFatal when going on would break the sums (rows removed before they were loaded, a position beyond the
  /// log's end, a recreated topic, refused credentials), with the cure.
  [[nodiscard]] base::Result<void> run(const base::StopSignal& stop);

  [[nodiscard]] const Stats& stats() const { return stats_; }

 private:
  struct Partition {
    ports::Assignment assignment;
    std::string topic_id;         // of the topic
    std::string source;           // generation, topic topic id and partition
    SinkPosition loaded;          // all parts below are acknowledged
    SinkPosition read;            // where reading stands: loaded + pending
    SinkPosition recorded;        // written as the position in the warehouse
    std::int64_t committed = -1;  // to the log's group
    std::vector<PendingRow> pending;
    RollupCache cache{0, 1};
  };
  [[nodiscard]] base::Result<void> serve(const base::StopSignal& stop);
  [[nodiscard]] base::Result<void> follow_assignments(ports::GroupMember& member);
  [[nodiscard]] base::Result<Partition> open(const ports::Assignment& assignment,
                                             const std::string& topic_id);
  [[nodiscard]] base::Result<std::size_t> collect(std::span<const ports::LogPosition> positions,
                                                  ports::ReadLimit limit);
  [[nodiscard]] base::Result<std::size_t> add_records(Partition& partition,
                                                      std::span<const ports::Record> records);
  [[nodiscard]] base::Result<void> mark_snapshot_rows();
  [[nodiscard]] base::Result<void> flush(const base::StopSignal& stop);
  [[nodiscard]] base::Result<void> send_base_rows_to_dlq(const std::vector<RefusedRow>& refused);
  void note_success();
  [[nodiscard]] base::Result<void> look_at_topic(base::Deadline deadline);
  [[nodiscard]] base::Result<void> look_again();
  [[nodiscard]] base::Result<void> settle_positions(ports::GroupMember& member, bool wait);
  void commit_positions(ports::GroupMember& member, bool at_once);
  [[nodiscard]] std::size_t pending_rows() const;
  [[nodiscard]] std::vector<ports::LogPosition> positions() const;
  [[nodiscard]] base::Deadline soon() const { return base::Deadline::in(options_.call_timeout); }

  ports::EventLog& log_;
  const ports::Clock& clock_;
  SinkTables& tables_;
  const Options options_;
  std::map<ports::TopicPartition, Partition> partitions_;
  std::size_t read_turn_ = 0;  // whose share of a read is taken first
  std::optional<base::AsyncTask> position_write_;
  std::map<ports::TopicPartition, SinkPosition> position_being_written_;
  std::chrono::steady_clock::time_point last_position_write_{};
  std::chrono::steady_clock::time_point last_batch_closed_{};
  Generation generation_;  // of the tables, as it was when they were last opened
  BaseRows base_rows_;
  std::string topic_id_;                                                         // of the topic
  base::Deadline next_look_ = base::Deadline::in(std::chrono::milliseconds(0));  // at the topic
  bool log_is_silent_ = false;  // it did not answer the last look, and nothing has come since
  base::OutageLogger outage_{std::chrono::minutes(5), &stats_.health};
  base::OutageLogger commit_outage_;
  base::Backoff commit_backoff_{std::chrono::milliseconds(50), std::chrono::milliseconds(2'000)};
  base::Deadline commit_due_ = base::Deadline::in(std::chrono::milliseconds(0));
  bool opens_told_ = false;  // where partitions go on was logged already in this outage
  Stats stats_;
};

}  // namespace millrace::sink
