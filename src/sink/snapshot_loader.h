// Fills the tables of a new generation from its snapshot of the order store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/analytics_row.h"
#include "ports/clock.h"
#include "sink/base_rows.h"
#include "sink/tables.h"

namespace millrace::sink {

struct SnapshotLoaderOptions {
  BaseRowsOptions base_rows;
  std::size_t cached_keys_max = 300'000;  ///< As the sink's.
};

/// Takes the snapshot in slices, each under its number. A slice that comes again under its number, with the
/// same rows, changes nothing, whatever of it was written before. One caller.
class SnapshotLoader {
 public:
  /// The sums are kept under the source "<generation>/snapshot". Errors: as the tables'.
  [[nodiscard]] static base::Result<SnapshotLoader> open(SinkTables& tables, const ports::Clock& clock,
                                                         const SnapshotLoaderOptions& options);

  /// Slices come in rising order: 0, 1, 2 …; after `open` at any that was not acknowledged. A row counts as
  /// the order stands in it, nothing if it is deleted; its image before is not looked at.
  /// Rows of purged orders, and such as the base table can never take, stay out of it. Errors: as the
  /// tables', and kUnavailable for `stop`; open anew and repeat the slice.
  [[nodiscard]] base::Result<void> load(std::uint64_t slice, std::vector<domain::AnalyticsRow> rows,
                                        const base::StopSignal& stop);

 private:
  SnapshotLoader(SinkTables& tables, const ports::Clock& clock, const SnapshotLoaderOptions& options,
                 std::string source, RollupCache cache)
      : tables_(tables),
        options_(options),
        base_rows_(tables, clock, options.base_rows),
        source_(std::move(source)),
        cache_(std::move(cache)) {}

  SinkTables& tables_;
  SnapshotLoaderOptions options_;
  BaseRows base_rows_;
  std::string source_;
  RollupCache cache_;
};

}  // namespace millrace::sink
