// Writes the pending rows of a batch into the warehouse: base rows and cumulative aggregates.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/stop.h"
#include "base/utc_time.h"
#include "domain/analytics_row.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "sink/base_rows.h"
#include "sink/options.h"
#include "sink/partition.h"
#include "sink/tables.h"

namespace millrace::sink {

/// One caller; not thread-safe.
class BatchWriter {
 public:
  /// All of them must outlive it.
  BatchWriter(ports::EventLog& log, SinkTables& tables, const ports::Clock& clock, const Options& options,
              Stats& stats);

  /// Writes all pending rows, then takes them off the partitions: `loaded` becomes `read`. Rows that the base
  /// table can never take become dead letters, their sums count all the same. Errors: the tables' and the
  /// log's; any part of the batch may then have been written, and the partitions must be opened anew, from
  /// their positions in the warehouse.
  [[nodiscard]] base::Result<void> write(Partitions& partitions, const Generation& generation,
                                         const base::StopSignal& stop);

  /// After an error, before the next batch.
  void reset() { base_rows_.forget_time(); }

 private:
  struct Batch {
    std::map<ports::TopicPartition, RollupMap<CumulativeAggregate>> sums;
    std::vector<RollupRow> rollup_rows;  // point into `sums`
    std::vector<const domain::AnalyticsRow*> base_rows;
    std::optional<base::UtcTime> oldest;
  };

  [[nodiscard]] base::Result<void> mark_snapshot_rows(Partitions& partitions, const Generation& generation);
  [[nodiscard]] base::Result<Batch> prepare(const Partitions& partitions);
  [[nodiscard]] base::Result<std::size_t> insert(Batch& batch, const Partitions& partitions,
                                                 const base::StopSignal& stop);
  [[nodiscard]] base::Result<std::size_t> insert_all_but_refused(const Batch& batch,
                                                                 const Partitions& partitions,
                                                                 const base::Error& refusal,
                                                                 const base::StopSignal& stop);
  [[nodiscard]] base::Result<void> send_to_dlq(const std::vector<RefusedRow>& refused,
                                               const Partitions& partitions);
  void observe(const Batch& batch, std::size_t rows);

  ports::EventLog& log_;
  SinkTables& tables_;
  const ports::Clock& clock_;
  const Options& options_;
  Stats& stats_;
  BaseRows base_rows_;
};

}  // namespace millrace::sink
