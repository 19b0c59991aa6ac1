#include "rebuild/generations.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/text.h"
#include "base/tsv.h"
#include "sink/row_binary.h"

namespace millrace::rebuild {
namespace {

constexpr std::string_view kCreate = "CREATE TABLE IF NOT EXISTS analytics.";
constexpr std::string_view kEndOfColumns = "\n)\nENGINE";
constexpr std::string_view kFormat = "RowBinary";
constexpr std::string_view kNoUuid = "00000000-0000-0000-0000-000000000000";
constexpr std::array<std::string_view, 3> kStagingColumns = {"order_id", "version", "row"};

// Positions too: should somebody have emptied the table of generations, those of an old one must not be taken
// for the new one's.
constexpr std::string_view kHighestNumber =
    "SELECT greatest((SELECT max(generation) FROM analytics.generations), (SELECT "
    "max(toUInt32OrZero(extract(source, '^([0-9]+)/.+/'))) FROM analytics.sink_position))";
constexpr std::size_t kStageBytesMax = 8u << 20u;  // of one insert; the last order comes on top

std::string snapshot_name(std::uint32_t generation) {
  return fmt::format("snapshot_g{}", generation);
}

/// The generation in "rollups_g7_x", "orders_analytics_g7_x" or "snapshot_g7"; nothing for other names.
std::optional<std::uint32_t> generation_of(std::string_view name) {
  for (const std::string_view head : {"rollups_g", "orders_analytics_g", "snapshot_g"}) {
    if (!name.starts_with(head)) continue;
    const std::string_view rest = name.substr(head.size());
    const auto digits = rest.substr(0, rest.find('_'));
    return base::parse_int<std::uint32_t>(digits);
  }
  return std::nullopt;
}

}  // namespace

base::Result<TableStatements> table_statements(std::span<const std::string_view> schema) {
  const auto find = [&](std::string_view table) -> base::Result<std::string> {
    const std::string head = fmt::format("{}{}\n(", kCreate, table);
    for (const std::string_view statement : schema)
      if (const auto at = statement.find(head); at != std::string_view::npos)
        return std::string(statement.substr(at));
    return base::fatal(fmt::format("the schema has no statement that makes analytics.{}", table));
  };
  TableStatements statements;
  MILLRACE_TRY_ASSIGN(statements.base, find("orders_analytics"));
  MILLRACE_TRY_ASSIGN(statements.rollups, find("rollups"));
  return statements;
}

base::Result<std::string> shadow_statement(std::string_view statement, std::string_view name,
                                           std::uint32_t generation, bool is_rollups) {
  const auto begin = statement.find("\n(");
  const auto end = statement.find(kEndOfColumns);
  if (!statement.starts_with(kCreate) || begin == std::string_view::npos || end == std::string_view::npos)
    return base::fatal("a statement of the warehouse's schema is not of the form that a rebuild can copy");
  const std::string constraint =
      is_rollups ? fmt::format(",\n    CONSTRAINT generation CHECK startsWith(source, '{}/')", generation)
                 : "";
  return fmt::format("{}{}{}{}{}\nCOMMENT 'generation {}'", kCreate, name,
                     statement.substr(begin, end - begin), constraint, statement.substr(end), generation);
}

base::Result<void> Generations::check_database(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string engine,
                      warehouse_.query("SELECT engine FROM system.databases WHERE name = 'analytics'",
                                       "TabSeparated", {}, deadline));
  if (base::trim(engine.substr(0, engine.find('\n'))) == "Atomic") return {};
  return base::invalid(
      "the database analytics must have the engine Atomic (the default of ClickHouse) for its tables to be "
      "exchanged");
}

base::Result<std::uint32_t> Generations::take_number(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string answer,
                      warehouse_.query(kHighestNumber, "TabSeparated", {}, deadline));
  const auto highest = base::parse_int<std::uint32_t>(base::trim(answer.substr(0, answer.find('\n'))));
  if (!highest) return base::unavailable("the warehouse's answer about generations was cut off");
  const std::array parameters = {ports::QueryParameter{"generation", std::to_string(*highest + 1)}};
  MILLRACE_TRY(
      warehouse_.execute("INSERT INTO analytics.generations (generation, snapshot_version_max, activated_at) "
                         "SELECT {generation:UInt32}, 0, toDateTime64(0, 3, 'UTC')",
                         parameters, deadline));
  return *highest + 1;
}

base::Result<std::vector<Generations::Table>> Generations::tables(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string answer,
                      warehouse_.query("SELECT name, toString(uuid) FROM system.tables WHERE database = "
                                       "'analytics' ORDER BY name",
                                       kFormat, {}, deadline));
  std::vector<Table> tables;
  for (sink::RowBinaryReader reader(answer); !reader.at_end();) {
    Table table;
    table.name = reader.string();
    table.uuid = reader.string();
    if (reader.broken()) return base::unavailable("the warehouse's answer about its tables was cut off");
    tables.push_back(std::move(table));
  }
  return tables;
}

base::Result<Generations::Uuids> Generations::create(std::uint32_t generation, const std::string& staging,
                                                     const std::string& base, const std::string& rollups,
                                                     base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string make_base,
                      shadow_statement(statements_.base, base, generation, false));
  MILLRACE_TRY_ASSIGN(const std::string make_rollups,
                      shadow_statement(statements_.rollups, rollups, generation, true));
  MILLRACE_TRY(warehouse_.execute(
      fmt::format("CREATE TABLE IF NOT EXISTS analytics.{} (order_id String, version UInt64, row String "
                  "CODEC(ZSTD)) ENGINE = ReplacingMergeTree(version) ORDER BY order_id SETTINGS "
                  "fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1 "
                  "COMMENT 'orders as generation {} found them'",
                  staging, generation),
      {}, deadline));
  MILLRACE_TRY(warehouse_.execute(make_base, {}, deadline));
  MILLRACE_TRY(warehouse_.execute(make_rollups, {}, deadline));
  MILLRACE_TRY_ASSIGN(const auto all, tables(deadline));
  Uuids uuids;
  for (const Table& table : all) {
    if (table.name == base) uuids.base = table.uuid;
    if (table.name == rollups) uuids.rollups = table.uuid;
  }
  for (const std::string& uuid : {uuids.base, uuids.rollups})
    if (uuid.empty() || uuid == kNoUuid)
      return base::unavailable("the tables of the new generation were made, but are not there");
  return uuids;
}

base::Result<bool> Generations::is_complete(std::uint32_t generation, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto all, tables(deadline));
  return std::ranges::any_of(all,
                             [&](const Table& table) { return table.name == snapshot_name(generation); });
}

/// By name, because what decides is which name an insert finds: a process that slept since it read some
/// orders must not add them, newer than they were counted, to a snapshot that another one has gone on with.
base::Result<void> Generations::complete(std::uint32_t generation, const std::string& staging,
                                         base::Deadline deadline) {
  return warehouse_.execute(
      fmt::format("RENAME TABLE analytics.{} TO analytics.{}", staging, snapshot_name(generation)), {},
      deadline);
}

base::Result<void> Generations::stage(const std::string& staging, std::span<const domain::AnalyticsRow> rows,
                                      base::Deadline deadline) {
  std::string data;
  sink::RowBinaryWriter writer(data);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    writer.string(rows[i].order_id.value());
    writer.number(rows[i].version);
    writer.string(domain::to_json(rows[i]));
    if (data.size() < kStageBytesMax && i + 1 < rows.size()) continue;
    MILLRACE_TRY(warehouse_.insert("analytics." + staging, kStagingColumns, kFormat, data, deadline));
    data.clear();
  }
  return {};
}

base::Result<Generations::Staged> Generations::staged(std::uint32_t generation, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(
      const std::string answer,
      warehouse_.query(fmt::format("SELECT count(), max(version), sum(length(row)) FROM analytics.{} FINAL",
                                   snapshot_name(generation)),
                       "TabSeparated", {}, deadline));
  std::vector<std::uint64_t> numbers;
  MILLRACE_TRY(base::read_tsv(answer, [&](base::TsvFields fields) -> base::Result<void> {
    for (const auto& field : fields)
      if (const auto number = base::parse_int<std::uint64_t>(field.value_or(""))) numbers.push_back(*number);
    return {};
  }));
  if (numbers.size() != 3) return base::unavailable("the warehouse's answer about the snapshot was cut off");
  return Staged{.orders = numbers[0], .version_max = numbers[1], .bytes = numbers[2]};
}

base::Result<Generations::Slice> Generations::staged_after(std::uint32_t generation,
                                                           const std::string& after_id, std::size_t count_max,
                                                           base::Deadline deadline) {
  const std::array parameters = {ports::QueryParameter{"after", after_id},
                                 ports::QueryParameter{"count", std::to_string(count_max)}};
  MILLRACE_TRY_ASSIGN(
      const std::string answer,
      warehouse_.query(fmt::format("SELECT order_id, row FROM analytics.{} FINAL WHERE order_id > "
                                   "{{after:String}} ORDER BY order_id LIMIT {{count:UInt64}}",
                                   snapshot_name(generation)),
                       kFormat, parameters, deadline));
  Slice slice;
  for (sink::RowBinaryReader reader(answer); !reader.at_end();) {
    slice.last_id = reader.string();
    const std::string_view text = reader.string();
    if (reader.broken()) return base::unavailable("the warehouse's answer about the snapshot was cut off");
    ++slice.orders;
    // What bounds a row's values is known to whoever reads rows: such an order is a dead letter of the
    // sink's.
    auto row = domain::parse_analytics_row(text);
    if (row)
      slice.rows.push_back(std::move(*row));
    else
      spdlog::error("rebuild: order {} cannot be in the warehouse: {}",
                    base::printable(slice.last_id, domain::kIdLengthMax), row.error().message);
  }
  return slice;
}

/// EXCHANGE swaps, so a request that is carried out twice, or late, would undo itself. Hence: a new name
/// first, which no earlier request can mean; a look at what stands where, which nothing under way can change
/// any more; one EXCHANGE that names the new name; and what it replaced gets another name, so that the
/// EXCHANGE means nothing any more.
base::Result<void> Generations::put_in_place(const std::string& live, std::uint32_t generation,
                                             const std::string& uuid, const std::string& fresh,
                                             base::Deadline deadline) {
  const auto rename = [&](const std::string& from, const std::string& to) {
    return warehouse_.execute(fmt::format("RENAME TABLE analytics.{} TO analytics.{}", from, to), {},
                              deadline);
  };
  const auto name_of = [&]() -> base::Result<std::string> {
    MILLRACE_TRY_ASSIGN(const auto all, tables(deadline));
    for (const Table& table : all)
      if (table.uuid == uuid) return table.name;
    return base::fatal(
        fmt::format("the table that was to become analytics.{} is gone: start another rebuild", live));
  };
  MILLRACE_TRY_ASSIGN(const std::string before, name_of());
  if (before != live) {
    MILLRACE_TRY(rename(before, fresh));
    MILLRACE_TRY_ASSIGN(const std::string renamed, name_of());
    if (renamed == fresh)
      MILLRACE_TRY(warehouse_.execute(
          fmt::format("EXCHANGE TABLES analytics.{} AND analytics.{}", live, fresh), {}, deadline));
  }
  MILLRACE_TRY_ASSIGN(const auto all, tables(deadline));
  const std::string replaced = fmt::format("{}_g{}_", live, generation);
  std::size_t number = 0;
  for (const Table& table : all)
    if (table.uuid != uuid && table.name.starts_with(replaced))
      MILLRACE_TRY(rename(table.name, fmt::format("{}_old{}", fresh, ++number)));
  // Both must stand where no request that was ever sent can move them: another process may have been at it.
  MILLRACE_TRY_ASSIGN(const auto now, tables(deadline));
  const bool is_live =
      std::ranges::any_of(now, [&](const Table& table) { return table.uuid == uuid && table.name == live; });
  const bool can_move = std::ranges::any_of(now, [&](const Table& table) {
    return table.name.starts_with(replaced) && !table.name.starts_with(fresh + "_old");
  });
  if (!is_live || can_move)
    return base::unavailable(fmt::format("the exchange of {} was not carried out to its end", live));
  return {};
}

base::Result<void> Generations::activate(const sink::Generation& generation, base::UtcTime now,
                                         base::Deadline deadline) {
  const std::array parameters = {
      ports::QueryParameter{"generation", std::to_string(generation.number)},
      ports::QueryParameter{"version_max", std::to_string(generation.snapshot_version_max)},
      ports::QueryParameter{"now", std::to_string(base::to_ms(now))}};
  return warehouse_.execute(
      "INSERT INTO analytics.generations (generation, snapshot_version_max, activated_at) SELECT "
      "{generation:UInt32}, {version_max:UInt64}, fromUnixTimestamp64Milli({now:Int64}, 'UTC')",
      parameters, deadline);
}

base::Result<void> Generations::drop_others(std::uint32_t active, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto all, tables(deadline));
  for (const Table& table : all) {
    // Live tables have no generation in their names. What a later rebuild is making is not ours to drop,
    // should this process have slept through its beginning.
    const auto generation = generation_of(table.name);
    if (!generation || *generation > active || table.name == snapshot_name(active)) continue;
    MILLRACE_TRY(warehouse_.execute(
        fmt::format("DROP TABLE IF EXISTS analytics.{} SETTINGS max_table_size_to_drop = 0", table.name), {},
        deadline));
  }
  return warehouse_.execute(
      fmt::format("ALTER TABLE analytics.{} DROP COLUMN IF EXISTS row", snapshot_name(active)), {}, deadline);
}

base::Result<void> Generations::drop(std::uint32_t generation, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto all, tables(deadline));
  for (const Table& table : all)
    if (generation_of(table.name) == generation)
      MILLRACE_TRY(warehouse_.execute(
          fmt::format("DROP TABLE IF EXISTS analytics.{} SETTINGS max_table_size_to_drop = 0", table.name),
          {}, deadline));
  return {};
}

}  // namespace millrace::rebuild
