// The sink's tables in the warehouse: what is read from and written to them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/analytics_row.h"
#include "ports/warehouse.h"
#include "sink/rollups.h"

namespace millrace::sink {

/// Where the sink goes on reading: everything below `as_of_offset` is in the tables.
struct SinkPosition {
  std::uint64_t as_of_offset = 0;
  std::int64_t input_offset = -1;  ///< The highest input offset below `as_of_offset`; later records with one
                                   ///< not above it are repeats.
  friend bool operator==(const SinkPosition&, const SinkPosition&) = default;
};

/// A life of the tables. Generation 0 begins empty and holds the whole log; each rebuild makes the next one,
/// which begins with a snapshot of the order store. Sources of a generation N >= 1 are named "N/…", and its
/// rollups refuse all others, so no sink of a former one, however late, adds to its sums.
struct Generation {
  std::uint32_t number = 0;
  /// No order stood in the snapshot at a higher version.
  std::uint64_t snapshot_version_max = 0;
  friend bool operator==(const Generation&, const Generation&) = default;
};

/// What the sums and the position of one partition of a topic are kept under.
[[nodiscard]] std::string source_name(const Generation& generation, std::string_view topic_id,
                                      std::int32_t partition);

/// True if both are names of this generation and of the same partition, of different topic ids.
[[nodiscard]] bool is_former_topic_id(std::string_view candidate, std::string_view source,
                                      const Generation& generation);

/// One row of the rollups table; what it points to outlives the insert.
struct RollupRow {
  const RollupKey* key;
  const std::string* source;
  CumulativeAggregate sum;
};

/// Thread-safe. Errors: as ports::Warehouse; an insert that failed may have written any part of its rows, now
/// or until its deadline.
class SinkTables {
 public:
  virtual ~SinkTables() = default;

  /// The generation that the other calls read from and write to from now on, or some time soon.
  [[nodiscard]] virtual base::Result<Generation> generation(base::Deadline deadline) = 0;
  /// The versions at which those of the orders stood in the snapshot that this generation began with.
  [[nodiscard]] virtual base::Result<std::map<domain::OrderId, std::uint64_t>> snapshot_versions(
      std::uint32_t generation, std::span<const domain::OrderId> orders, base::Deadline deadline) = 0;

  [[nodiscard]] virtual base::Result<SinkPosition> position(const std::string& source,
                                                            base::Deadline deadline) = 0;
  /// Whether these tables hold anything of the same partition of another topic id of the topic.
  [[nodiscard]] virtual base::Result<bool> has_former_topic_id(const std::string& source,
                                                               const Generation& generation,
                                                               base::Deadline deadline) {
    (void)source, (void)generation, (void)deadline;
    return false;
  }
  [[nodiscard]] virtual base::Result<void> write_positions(
      const std::map<std::string, SinkPosition>& positions, base::UtcTime now, base::Deadline deadline) = 0;
  /// The warehouse's own clock, read after the call began and before it returned.
  [[nodiscard]] virtual base::Result<base::UtcTime> now(base::Deadline deadline) = 0;
  /// `loaded_at` fills created_at. Rows that arrive after `not_after` by the warehouse's clock are refused
  /// (kUnavailable). kRejected: among these rows is one that the table can never take.
  [[nodiscard]] virtual base::Result<void> insert_base(std::span<const domain::AnalyticsRow* const> rows,
                                                       base::UtcTime loaded_at, base::UtcTime not_after,
                                                       base::Deadline deadline) = 0;
  /// The last versions of those of the orders that the purge removes or has removed; such an order's rows up
  /// to and with that version must not enter the base table again.
  [[nodiscard]] virtual base::Result<std::map<domain::OrderId, std::uint64_t>> purged_versions(
      std::span<const domain::OrderId> orders, base::Deadline deadline) = 0;
  [[nodiscard]] virtual base::Result<void> insert_rollups(std::span<const RollupRow> rows,
                                                          base::Deadline deadline) = 0;

  /// The newest running sums of a source for its latest buckets, at most about `keys_max` of them.
  [[nodiscard]] virtual base::Result<RollupCache> load_cache(const std::string& source, std::size_t keys_max,
                                                             base::Deadline deadline) = 0;
  /// Reads the newest running sums of `keys`; keys that are not there are left out.
  [[nodiscard]] virtual base::Result<std::vector<std::pair<RollupKey, CumulativeAggregate>>> read_sums(
      const std::string& source, std::span<const RollupKey> keys, base::Deadline deadline) = 0;
};

/// The generation that is being made beside the active one, and the tables that it is made in
/// ("database.table").
struct ShadowGeneration {
  Generation generation;
  std::string base;
  std::string rollups;
};

/// The tables of schema/warehouse/001_analytics.sql in the active generation, or those of a shadow
/// generation; positions and purged orders are common to all.
class WarehouseTables : public SinkTables {
 public:
  explicit WarehouseTables(ports::Warehouse& warehouse);
  WarehouseTables(ports::Warehouse& warehouse, ShadowGeneration shadow);

  base::Result<Generation> generation(base::Deadline deadline) override;
  base::Result<std::map<domain::OrderId, std::uint64_t>> snapshot_versions(
      std::uint32_t generation, std::span<const domain::OrderId> orders, base::Deadline deadline) override;
  base::Result<SinkPosition> position(const std::string& source, base::Deadline deadline) override;
  base::Result<bool> has_former_topic_id(const std::string& source, const Generation& generation,
                                         base::Deadline deadline) override;
  base::Result<void> write_positions(const std::map<std::string, SinkPosition>& positions, base::UtcTime now,
                                     base::Deadline deadline) override;
  base::Result<base::UtcTime> now(base::Deadline deadline) override;
  base::Result<void> insert_base(std::span<const domain::AnalyticsRow* const> rows, base::UtcTime loaded_at,
                                 base::UtcTime not_after, base::Deadline deadline) override;
  base::Result<std::map<domain::OrderId, std::uint64_t>> purged_versions(
      std::span<const domain::OrderId> orders, base::Deadline deadline) override;
  base::Result<void> insert_rollups(std::span<const RollupRow> rows, base::Deadline deadline) override;
  base::Result<RollupCache> load_cache(const std::string& source, std::size_t keys_max,
                                       base::Deadline deadline) override;
  base::Result<std::vector<std::pair<RollupKey, CumulativeAggregate>>> read_sums(
      const std::string& source, std::span<const RollupKey> keys, base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Result<std::map<domain::OrderId, std::uint64_t>> versions_in(
      std::string_view table, std::span<const domain::OrderId> orders, base::Deadline deadline);

  ports::Warehouse& warehouse_;
  const std::optional<Generation> shadow_;
  const std::string base_;
  const std::string rollups_;
  const std::string sums_of_;  // the head of the queries for running sums
};

}  // namespace millrace::sink
