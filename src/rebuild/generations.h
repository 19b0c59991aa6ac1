// The tables of a generation that is being made, and their exchange with the live ones.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"
#include "domain/analytics_row.h"
#include "ports/warehouse.h"
#include "sink/tables.h"

namespace millrace::rebuild {

/// The statements that make the live tables, "CREATE TABLE IF NOT EXISTS analytics.… ( … ) ENGINE …": a new
/// generation's are made by the same text, so that a rebuild brings changes of the schema too.
struct TableStatements {
  std::string base;
  std::string rollups;
};

/// Those of them in the statements of schema/warehouse. Errors: kFatal.
[[nodiscard]] base::Result<TableStatements> table_statements(std::span<const std::string_view> schema);

/// The statement for a table of `generation` named `name` ("rollups_g7_x", in database analytics). A table of
/// rollups takes only sources of its generation. Errors: kFatal (the statement is not of the known form).
[[nodiscard]] base::Result<std::string> shadow_statement(std::string_view statement, std::string_view name,
                                                         std::uint32_t generation, bool is_rollups);

/// Shadow tables are named "<live name>_g<number>_<what nobody used before>" and known by their UUID, which
/// they keep over renames: a request that comes late, or twice, names a table that is not there any more.
/// Thread-safe. Errors of every call: as ports::Warehouse; each may be repeated at any time.
class Generations {
 public:
  Generations(ports::Warehouse& warehouse, TableStatements statements)
      : warehouse_(warehouse), statements_(std::move(statements)) {}

  /// Errors: also kInvalid when the database's engine cannot exchange tables.
  [[nodiscard]] base::Result<void> check_database(base::Deadline deadline);
  /// The next number, recorded as used.
  [[nodiscard]] base::Result<std::uint32_t> take_number(base::Deadline deadline);

  struct Uuids {
    std::string base;
    std::string rollups;
  };
  /// Makes the three tables if they are not there; `staging` is where the snapshot is gathered.
  [[nodiscard]] base::Result<Uuids> create(std::uint32_t generation, const std::string& staging,
                                           const std::string& base, const std::string& rollups,
                                           base::Deadline deadline);

  /// Adds orders to the snapshot; of an order that comes again the higher version stays. Errors: also
  /// kUnavailable when it is complete.
  [[nodiscard]] base::Result<void> stage(const std::string& staging,
                                         std::span<const domain::AnalyticsRow> rows, base::Deadline deadline);
  [[nodiscard]] base::Result<bool> is_complete(std::uint32_t generation, base::Deadline deadline);
  /// From now on the snapshot stays as it is: it gets its own name, and nothing more is staged.
  [[nodiscard]] base::Result<void> complete(std::uint32_t generation, const std::string& staging,
                                            base::Deadline deadline);
  struct Staged {
    std::uint64_t orders = 0;
    std::uint64_t version_max = 0;
    std::uint64_t bytes = 0;  ///< Of all of them as JSON.
  };
  [[nodiscard]] base::Result<Staged> staged(std::uint32_t generation, base::Deadline deadline);
  struct Slice {
    std::vector<domain::AnalyticsRow> rows;
    std::uint64_t orders =
        0;  ///< With those that cannot be rows of the warehouse (a dead letter each, there).
    std::string last_id;
  };
  /// The next orders by id, each at its highest version.
  [[nodiscard]] base::Result<Slice> staged_after(std::uint32_t generation, const std::string& after_id,
                                                 std::size_t count_max, base::Deadline deadline);

  /// Puts the table of `generation` with this UUID in the place of `live` ("rollups"), or finds it there. The
  /// name `fresh` must be new for each call. Errors: also kFatal (there is no such table).
  [[nodiscard]] base::Result<void> put_in_place(const std::string& live, std::uint32_t generation,
                                                const std::string& uuid, const std::string& fresh,
                                                base::Deadline deadline);
  /// From now on sinks that start are of this generation.
  [[nodiscard]] base::Result<void> activate(const sink::Generation& generation, base::UtcTime now,
                                            base::Deadline deadline);

  /// Drops what other generations left behind, and of the snapshot all but the versions.
  [[nodiscard]] base::Result<void> drop_others(std::uint32_t active, base::Deadline deadline);
  /// Drops all tables of a generation that is not in use.
  [[nodiscard]] base::Result<void> drop(std::uint32_t generation, base::Deadline deadline);

 private:
  struct Table {
    std::string name;
    std::string uuid;
  };
  [[nodiscard]] base::Result<std::vector<Table>> tables(base::Deadline deadline);

  ports::Warehouse& warehouse_;
  const TableStatements statements_;
};

}  // namespace millrace::rebuild
