#include "sink/snapshot_loader.h"

#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/text.h"
#include "sink/cumulative_aggregates.h"

namespace millrace::sink {

base::Result<SnapshotLoader> SnapshotLoader::open(SinkTables& tables, const ports::Clock& clock,
                                                  const SnapshotLoaderOptions& options) {
  const auto deadline = base::Deadline::in(options.base_rows.query_timeout);
  MILLRACE_TRY_ASSIGN(const Generation generation, tables.generation(deadline));
  std::string source = fmt::format("{}/snapshot", generation.number);
  MILLRACE_TRY_ASSIGN(RollupCache cache, tables.load_cache(source, options.cached_keys_max, deadline));
  return SnapshotLoader(tables, clock, options, std::move(source), std::move(cache));
}

base::Result<void> SnapshotLoader::load(std::uint64_t slice, std::vector<domain::AnalyticsRow> rows,
                                        const base::StopSignal& stop) {
  std::vector<PendingRow> pending;
  pending.reserve(rows.size());
  std::vector<const domain::AnalyticsRow*> base_rows;
  for (domain::AnalyticsRow& row : rows) {
    row.before.reset();  // Nothing of the order was counted before.
    base_rows.push_back(&pending.emplace_back(PendingRow{.offset = slice, .row = std::move(row)}).row);
  }
  MILLRACE_TRY_ASSIGN(const NextSums next, next_sums(tables_, cache_, source_, slice, slice + 1, pending,
                                                     base::Deadline::in(options_.base_rows.query_timeout)));
  MILLRACE_TRY_ASSIGN(const auto refused, base_rows_.insert_what_fits(std::move(base_rows), stop));
  for (const RefusedRow& row : refused)
    spdlog::error("sink: order {} of the snapshot stays out of the base table: {}",
                  base::printable(row.row->order_id.value(), domain::kIdLengthMax), row.detail);
  std::vector<RollupRow> rollups;
  rollups.reserve(next.sums.size());
  for (const auto& [key, sum] : next.sums) rollups.push_back({&key, &source_, sum});
  if (!rollups.empty())
    MILLRACE_TRY(tables_.insert_rollups(rollups, base::Deadline::in(options_.base_rows.insert_timeout)));
  for (const auto& [key, sum] : next.sums) cache_.store(key, sum);
  cache_.shrink();
  return {};
}

}  // namespace millrace::sink
