// What the sink is told, and what it tells of itself.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "consumer/consumer_loop.h"
#include "telemetry/registry.h"
#include "telemetry/tracer.h"

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
  telemetry::Tracer tracer = {};  ///< Of the rows: from their being made to their being visible.
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
struct Stats : consumer::LoopStats {
  std::atomic<std::uint64_t> rows_loaded{0};
  std::atomic<std::uint64_t> repeats_dropped{0};
  std::atomic<std::uint64_t> dead_letters{0};
  std::atomic<std::uint64_t> purged_rows_skipped{0};  ///< Of orders that the purge has removed.
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> half_batches{0};  ///< Of which one of the two inserts failed.
  /// Running sums read from the warehouse because they were not in memory.
  std::atomic<std::uint64_t> keys_read{0};
  /// Commit to visible, of the oldest row of the last batch.
  std::atomic<std::int64_t> last_freshness_ms{0};
};

}  // namespace millrace::sink
