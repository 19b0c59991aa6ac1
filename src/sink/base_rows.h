// Putting rows into the base table so that no purged order comes back: the sink's side of
// docs/specs/purge.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/stop.h"
#include "base/utc_time.h"
#include "domain/analytics_row.h"
#include "ports/clock.h"
#include "sink/rejected_rows.h"
#include "sink/tables.h"

namespace millrace::sink {

struct BaseRowsOptions {
  std::chrono::milliseconds insert_timeout{30'000};
  std::chrono::milliseconds query_timeout{60'000};
  /// Rows whose version is older than this are looked up among the purged orders before they enter the base
  /// table. At most half of the purge's period: clocks may differ by the other half.
  std::chrono::milliseconds purged_check_age{3'600'000};
};

/// One caller; `insert` may run beside it.
class BaseRows {
 public:
  BaseRows(SinkTables& tables, const ports::Clock& clock, const BaseRowsOptions& options)
      : tables_(tables), clock_(clock), options_(options) {}

  /// Takes the rows of purged orders out of `rows` and gives the moment by the warehouse's clock after which
  /// the others must not come in. Errors: as the tables'.
  [[nodiscard]] base::Result<base::UtcTime> prepare(std::vector<const domain::AnalyticsRow*>& rows);
  /// What `prepare` left, with the moment that it gave. Errors: as the tables'.
  [[nodiscard]] base::Result<void> insert(std::span<const domain::AnalyticsRow* const> rows,
                                          base::UtcTime not_after, base::Deadline deadline);

  /// `prepare` and `insert`, and where some of the rows can never be taken, all the others; gives back those.
  /// Errors: as the tables', and kUnavailable when `stop` came while it was looking for them.
  [[nodiscard]] base::Result<std::vector<RefusedRow>> insert_what_fits(
      std::vector<const domain::AnalyticsRow*> rows, const base::StopSignal& stop);

  /// Reads the warehouse's clock anew before the next rows.
  void forget_time() { warehouse_time_.reset(); }
  /// Rows that `prepare` took out so far.
  [[nodiscard]] std::size_t skipped() const { return skipped_; }

 private:
  [[nodiscard]] base::Result<base::UtcTime> next_not_after();

  SinkTables& tables_;
  const ports::Clock& clock_;
  const BaseRowsOptions options_;
  std::optional<base::UtcTime> warehouse_time_;  // its clock, at the moment below
  std::chrono::steady_clock::time_point warehouse_time_read_{};
  std::size_t skipped_ = 0;
};

/// Puts one row into the base table alone, unless its order was purged: for a row whose sums are there
/// already. May be repeated: the newest version wins. Errors: as the tables'.
[[nodiscard]] base::Result<void> load_base_row(SinkTables& tables, const ports::Clock& clock,
                                               const domain::AnalyticsRow& row, base::Deadline deadline);

}  // namespace millrace::sink
