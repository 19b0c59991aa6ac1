#include "sink/batch_writer.h"

#include <set>
#include <string>
#include <utility>

#include <spdlog/spdlog.h>

#include "base/async_task.h"
#include "base/deadline.h"
#include "ports/record_headers.h"
#include "sink/row_spans.h"

namespace millrace::sink {

BatchWriter::BatchWriter(ports::EventLog& log, SinkTables& tables, const ports::Clock& clock,
                         const Options& options, Stats& stats)
    : log_(log),
      tables_(tables),
      clock_(clock),
      options_(options),
      stats_(stats),
      base_rows_(tables, clock,
                 {.insert_timeout = options.insert_timeout,
                  .query_timeout = options.query_timeout,
                  .purged_check_age = options.purged_check_age}) {}

/// Marks the rows whose change the snapshot of the generation holds already: the order stood in it at this
/// version or a newer one. A pure function of the row and of a snapshot that no longer changes, so sums stay
/// a function of the log; and asked for old versions only, so an ordinary batch asks nothing.
base::Result<void> BatchWriter::mark_snapshot_rows(Partitions& partitions, const Generation& generation) {
  if (generation.number == 0) return {};
  const auto may_be_known = [&](const PendingRow& pending) {
    return pending.row.version <= generation.snapshot_version_max;
  };
  std::set<domain::OrderId> orders;
  for (const auto& [key, partition] : partitions)
    for (const PendingRow& pending : partition.pending)
      if (may_be_known(pending)) orders.insert(pending.row.order_id);
  if (orders.empty()) return {};
  const std::vector<domain::OrderId> asked(orders.begin(), orders.end());
  MILLRACE_TRY_ASSIGN(
      const auto versions,
      tables_.snapshot_versions(generation.number, asked, base::Deadline::in(options_.query_timeout)));
  for (auto& [key, partition] : partitions)
    for (PendingRow& pending : partition.pending) {
      if (!may_be_known(pending)) continue;
      const auto found = versions.find(pending.row.order_id);
      pending.counts = found == versions.end() || pending.row.version > found->second;
    }
  return {};
}

base::Result<BatchWriter::Batch> BatchWriter::prepare(const Partitions& partitions) {
  Batch batch;
  for (const auto& [key, partition] : partitions) {
    if (partition.pending.empty()) continue;
    MILLRACE_TRY_ASSIGN(auto next, next_sums(tables_, partition.cache, partition.source,
                                             partition.loaded.as_of_offset, partition.read.as_of_offset,
                                             partition.pending, base::Deadline::in(options_.query_timeout)));
    stats_.keys_read += next.keys_read;
    const auto& stored = batch.sums.emplace(key, std::move(next.sums)).first->second;
    for (const auto& [rollup, sum] : stored) batch.rollup_rows.push_back({&rollup, &partition.source, sum});
    for (const PendingRow& pending : partition.pending) {
      batch.base_rows.push_back(&pending.row);
      if (!batch.oldest || pending.row.occurred_at < *batch.oldest) batch.oldest = pending.row.occurred_at;
    }
  }
  return batch;
}

/// Both inserts at once. Returns how many base rows were taken.
base::Result<std::size_t> BatchWriter::insert(Batch& batch, const Partitions& partitions,
                                              const base::StopSignal& stop) {
  // Orders that were purged stay out, but their sums go on counting as always: they are a function of the
  // log. The prepared rows remain the batch's.
  const std::size_t rows = batch.base_rows.size();
  MILLRACE_TRY_ASSIGN(const base::UtcTime not_after, base_rows_.prepare(batch.base_rows));
  stats_.purged_rows_skipped = base_rows_.skipped();
  const auto deadline = base::Deadline::in(options_.insert_timeout);
  base::AsyncTask base_insert([&] {
    const telemetry::Timer timer(options_.metrics.insert_base);
    return base_rows_.insert(batch.base_rows, not_after, deadline);
  });
  base::Result<void> rollups = {};
  if (!batch.rollup_rows.empty()) {
    const telemetry::Timer timer(options_.metrics.insert_rollups);
    rollups = tables_.insert_rollups(batch.rollup_rows, deadline);
  }
  const base::Result<void> base = base_insert.outcome();
  if (base.has_value() != rollups.has_value()) {
    ++stats_.half_batches;
    spdlog::info("sink: half of a batch was acknowledged, the {}",
                 base ? "base rows" : "cumulative aggregates");
  }
  if (!rollups) return std::unexpected(rollups.error());
  if (base) return rows;
  if (base.error().kind != base::ErrorKind::kRejected) return std::unexpected(base.error());
  MILLRACE_TRY_ASSIGN(const std::size_t refused,
                      insert_all_but_refused(batch, partitions, base.error(), stop));
  return rows - refused;
}

/// Returns how many were refused.
base::Result<std::size_t> BatchWriter::insert_all_but_refused(const Batch& batch,
                                                              const Partitions& partitions,
                                                              const base::Error& refusal,
                                                              const base::StopSignal& stop) {
  const auto insert = [&](std::vector<const domain::AnalyticsRow*> part) -> base::Result<void> {
    if (stop.requested()) return base::unavailable("stopped while looking for the rejected rows");
    MILLRACE_TRY_ASSIGN(const base::UtcTime until, base_rows_.prepare(part));
    return base_rows_.insert(part, until, base::Deadline::in(options_.insert_timeout));
  };
  MILLRACE_TRY_ASSIGN(const auto refused, bisect_insert(batch.base_rows, refusal, insert));
  MILLRACE_TRY(send_to_dlq(refused, partitions));
  return refused.size();
}

/// Rows whose sums are in, or soon are, and whose base rows never can be: dead letters that say so.
base::Result<void> BatchWriter::send_to_dlq(const std::vector<RefusedRow>& refused,
                                            const Partitions& partitions) {
  std::map<const domain::AnalyticsRow*, const RefusedRow*> reasons;
  for (const RefusedRow& row : refused) reasons.emplace(row.row, &row);
  for (const auto& [source, partition] : partitions) {
    std::vector<ports::NewRecord> letters;
    for (const PendingRow& pending : partition.pending) {
      const auto reason = reasons.find(&pending.row);
      if (reason == reasons.end()) continue;
      // The record itself, for the letter: the row in memory has lost its headers.
      MILLRACE_TRY_ASSIGN(const auto records, log_.read(source, static_cast<std::int64_t>(pending.offset),
                                                        {1, options_.batch_bytes_max},
                                                        base::Deadline::in(std::chrono::milliseconds(0))));
      if (records.empty()) return base::unavailable("a rejected row cannot be read from the log again");
      letters.push_back(ports::dead_letter_of(records.front(), source, partition.topic_id,
                                              reason->second->reason, clock_.now(), log_.record_bytes_max()));
      letters.back().headers.push_back({std::string(ports::kHeaderHalf), std::string(ports::kHalfBase)});
      spdlog::error("sink: dead letter from partition {} offset {}, base row only: {}", source.partition,
                    pending.offset, reason->second->detail);
    }
    if (letters.empty()) continue;
    MILLRACE_TRY(log_.append({options_.dead_letter_topic, source.partition}, letters,
                             base::Deadline::in(options_.call_timeout)));
    stats_.dead_letters += letters.size();
  }
  return {};
}

void BatchWriter::observe(const Batch& batch, std::size_t rows) {
  ++stats_.batches;
  stats_.rows_loaded += rows;
  const base::UtcTime visible = clock_.now();
  stats_.last_freshness_ms = base::to_ms(visible) - base::to_ms(*batch.oldest);
  options_.metrics.batch_rows.observe(static_cast<double>(rows));
  for (const domain::AnalyticsRow* row : batch.base_rows) {
    options_.metrics.freshness.observe(std::chrono::milliseconds(visible - row->occurred_at));
    record_visible(options_.tracer, *row, visible);
  }
}

base::Result<void> BatchWriter::write(Partitions& partitions, const Generation& generation,
                                      const base::StopSignal& stop) {
  MILLRACE_TRY(mark_snapshot_rows(partitions, generation));
  MILLRACE_TRY_ASSIGN(Batch batch, prepare(partitions));
  if (!batch.base_rows.empty()) {
    MILLRACE_TRY_ASSIGN(const std::size_t rows, insert(batch, partitions, stop));
    observe(batch, rows);
  }
  for (auto& [key, partition] : partitions) {
    if (const auto written = batch.sums.find(key); written != batch.sums.end()) {
      for (const auto& [rollup, sum] : written->second) partition.cache.store(rollup, sum);
      partition.cache.shrink();
    }
    partition.pending.clear();
    partition.loaded = partition.read;
  }
  return {};
}

}  // namespace millrace::sink
