// The sink's tables in the warehouse: what is read from and written to them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "domain/analytics_row.h"
#include "ports/warehouse.h"
#include "sink/rollups.h"

namespace millrace::sink {

/// Where the sink goes on reading: everything below `upto` is in the tables.
struct SinkPosition {
  std::uint64_t upto = 0;
  std::int64_t input_offset =
      -1;  ///< The highest input offset below `upto`; later records with one not above it are repeats.
  friend bool operator==(const SinkPosition&, const SinkPosition&) = default;
};

/// Appends the base row of a record in RowBinary. `loaded_at` fills created_at.
void append_base_row(std::string& out, const domain::AnalyticsRow& row, base::UtcTime loaded_at);
/// Appends one row of rollups in RowBinary.
void append_rollup_row(std::string& out, const RollupKey& key, const std::string& source,
                       const RunningSum& sum);

/// Thread-safe as the warehouse is. Errors: as the port's.
class SinkTables {
 public:
  explicit SinkTables(ports::Warehouse& warehouse) : warehouse_(warehouse) {}

  [[nodiscard]] base::Result<SinkPosition> position(const std::string& source, base::Deadline deadline);
  [[nodiscard]] base::Result<void> write_positions(const std::map<std::string, SinkPosition>& positions,
                                                   base::UtcTime now, base::Deadline deadline);
  /// Rows as append_base_row and append_rollup_row made them.
  [[nodiscard]] base::Result<void> insert_base(const std::string& rows, base::Deadline deadline);
  [[nodiscard]] base::Result<void> insert_rollups(const std::string& rows, base::Deadline deadline);

  /// The newest running sums of a source for its latest buckets, at most about `keys_max` of them.
  [[nodiscard]] base::Result<SumCache> load_cache(const std::string& source, std::size_t keys_max,
                                                  base::Deadline deadline);
  /// Reads the newest running sums of `keys`; keys that are not there are left out.
  [[nodiscard]] base::Result<std::vector<std::pair<RollupKey, RunningSum>>> read_sums(
      const std::string& source, std::span<const RollupKey> keys, base::Deadline deadline);

 private:
  ports::Warehouse& warehouse_;
};

}  // namespace millrace::sink
