// The running-sum rule: from what is known of a source's sums and some more of its rows to the next sums.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/deadline.h"
#include "base/result.h"
#include "domain/analytics_row.h"
#include "sink/rollups.h"
#include "sink/tables.h"

namespace millrace::sink {

/// A row of a source that is not loaded yet.
struct PendingRow {
  std::uint64_t offset = 0;
  domain::AnalyticsRow row;
  bool counts = true;  ///< False: the snapshot that the generation began with holds this change already.
};

struct NextSums {
  RollupMap<CumulativeAggregate> sums;
  std::uint64_t keys_read = 0;  ///< Of them, that were read because the cache did not know them.
};

/// F(key, y) for every key that the rows touch, where F(key, y) is the sum over all rows of the source with
/// an offset below y, and `rows` are those in [x, y); keys whose newest sum is already true for y or later
/// are left out. A pure function of the source's rows, whoever computes it and however often. Errors: as the
/// tables'.
[[nodiscard]] base::Result<NextSums> next_sums(SinkTables& tables, const RollupCache& cache,
                                               const std::string& source, std::uint64_t x, std::uint64_t y,
                                               std::span<const PendingRow> rows, base::Deadline deadline);

}  // namespace millrace::sink
