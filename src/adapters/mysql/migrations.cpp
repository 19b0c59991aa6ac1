#include "adapters/mysql/migrations.h"

#include <map>
#include <string>

#include <fmt/format.h>

#include "adapters/mysql/connection.h"
#include "base/text.h"

namespace millrace::adapters::mysql {
namespace {

struct Recorded {
  std::string name;
  std::string checksum;
};

base::Result<bool> create_database(Connection& connection, const std::string& database,
                                   base::Deadline deadline) {
  // Asked first, because an account of one database may not be allowed to create any.
  bool exists = false;
  const Value name = std::string_view(database);
  MILLRACE_TRY(connection.query(
      "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", {&name, 1},
      [&](Row row) -> base::Result<void> {
        exists = row[0] == "1";
        return {};
      },
      deadline));
  if (exists) return false;
  MILLRACE_TRY(connection.command(
      fmt::format("CREATE DATABASE IF NOT EXISTS `{}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
                  database),
      deadline));
  return true;
}

base::Result<std::map<int, Recorded>> recorded_migrations(Connection& connection, base::Deadline deadline) {
  std::map<int, Recorded> recorded;
  MILLRACE_TRY(connection.query(
      "SELECT version, name, checksum FROM schema_migrations", {},
      [&](Row row) -> base::Result<void> {
        recorded[row[0].integer<int>().value_or(0)] = {std::string(*row[1]), std::string(*row[2])};
        return {};
      },
      deadline));
  return recorded;
}

/// A shop's tables that Millrace did not make, as long as 003 has not added its columns to them.
base::Result<bool> is_existing_shop(Connection& connection, base::Deadline deadline) {
  bool existing = false;
  MILLRACE_TRY(connection.query(
      "SELECT COUNT(*) > 0 AND COALESCE(SUM(column_name = 'version'), 0) = 0 FROM information_schema.columns "
      "WHERE table_schema = DATABASE() AND table_name = 'orders'",
      {},
      [&](Row row) -> base::Result<void> {
        existing = row[0] == "1";
        return {};
      },
      deadline));
  return existing;
}

base::Result<void> apply(Connection& connection, std::span<const Migration> migrations,
                         const InitOptions& options, InitReport& report, base::Deadline deadline) {
  for (const Migration& migration : migrations)
    if (migration.version == 0) MILLRACE_TRY(connection.script(migration.statements, deadline));
  MILLRACE_TRY_ASSIGN(const auto recorded, recorded_migrations(connection, deadline));

  for (const auto& [version, record] : recorded) {
    bool known = false;
    for (const Migration& migration : migrations) {
      if (migration.version != version) continue;
      known = true;
      if (migration.checksum != record.checksum)
        return base::conflict(
            fmt::format("migration {} of the database was made from another file than this program's {}; use "
                        "the program that made the database, or an empty database",
                        record.name, migration.name));
    }
    if (!known)
      return base::conflict(
          fmt::format("the database has migration {}, which this program does not know: use a newer program",
                      record.name));
  }
  MILLRACE_TRY_ASSIGN(const bool existing_shop, is_existing_shop(connection, deadline));
  for (const Migration& migration : migrations) {
    if (migration.version == 0 || recorded.contains(migration.version)) continue;
    const bool is_sample = migration.name.find("sample") != std::string_view::npos;
    if (!options.sample_shop && is_sample) continue;
    // A shop that is there wants no sample rows, also at later starts: recorded without being run.
    const bool leave_out = is_sample && existing_shop;
    if (auto done = leave_out ? base::Result<void>() : connection.script(migration.statements, deadline);
        !done)
      return base::with_context(fmt::format("migration {}", migration.name), std::move(done).error());
    const Value values[] = {std::int64_t{migration.version}, migration.name, migration.checksum};
    MILLRACE_TRY(connection.execute(
        "INSERT INTO schema_migrations (version, name, checksum) VALUES (?, ?, ?)", values, deadline));
    if (!leave_out) report.applied.push_back(migration.name);
  }
  return {};
}

}  // namespace

base::Result<InitReport> init_db(const ServerAddress& address, const InitOptions& options,
                                 base::Deadline deadline) {
  return init_db(address, options, embedded_migrations(), deadline);
}

base::Result<InitReport> init_db(const ServerAddress& address, const InitOptions& options,
                                 std::span<const Migration> migrations, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto connection, Connection::open(address, "", Isolation::kReadCommitted, deadline));
  InitReport report;
  MILLRACE_TRY_ASSIGN(report.database_created, create_database(*connection, address.database, deadline));
  MILLRACE_TRY(connection->command(fmt::format("USE `{}`", address.database), deadline));

  // The lock belongs to the connection, so it is free again whatever happens to this process.
  bool locked = false;
  const Value lock[] = {fmt::format("millrace-init {}", address.database).substr(0, 64),
                        std::int64_t{std::max<std::int64_t>(1, deadline.left().count() / 1000)}};
  MILLRACE_TRY(connection->query(
      "SELECT GET_LOCK(?, ?)", lock,
      [&](Row row) -> base::Result<void> {
        locked = row[0] == "1";
        return {};
      },
      deadline));
  if (!locked)
    return base::unavailable(
        fmt::format("another process is still preparing {}: try again", address.shown()));
  MILLRACE_TRY(apply(*connection, migrations, options, report, deadline));
  return report;
}

}  // namespace millrace::adapters::mysql
