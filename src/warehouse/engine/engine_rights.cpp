#include "warehouse/engine/engine_rights.h"

#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "base/atomic_file.h"

namespace millrace::warehouse {
namespace {

constexpr std::string_view kConfiguration = R"(<clickhouse>
  <users_config>{}</users_config>
</clickhouse>
)";

constexpr std::string_view kUsers = R"(<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <no_password/>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants><query>{}</query></grants>
    </default>
  </users>
</clickhouse>
)";

// Source of the names: system.privileges of the engine. SYSTEM as the guard lets it through. The library
// opens each session as this one user, so what this program does for itself (KILL QUERY, exchanging the
// database `default`) is on the list.
constexpr std::string_view kListed =
    "GRANT SHOW DATABASES, SHOW TABLES, SHOW COLUMNS, SHOW DICTIONARIES, SELECT, INSERT, CHECK, ALTER TABLE, "
    "ALTER VIEW, "
    "CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY, CREATE FUNCTION, CREATE TEMPORARY TABLE, "
    "DROP DATABASE, DROP TABLE, DROP VIEW, DROP DICTIONARY, DROP FUNCTION, UNDROP TABLE, TRUNCATE, OPTIMIZE, "
    "KILL QUERY, "
    "dictGet, SYSTEM DROP CACHE, SYSTEM RELOAD DICTIONARY, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM MOVES, "
    "SYSTEM CLEANUP, "
    "SYSTEM VIEWS, SYSTEM FLUSH, SYSTEM SYNC REPLICA, SYSTEM SYNC DATABASE REPLICA, SYSTEM SYNC TRANSACTION "
    "LOG, "
    "SYSTEM SYNC FILE CACHE, SYSTEM SYNC FILESYSTEM CACHE, SYSTEM WAIT LOADING PARTS, SYSTEM LOAD PRIMARY "
    "KEY, "
    "SYSTEM UNLOAD PRIMARY KEY ON *.*";
constexpr std::string_view kAll = "GRANT ALL ON *.*";

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else
      safe += c;
  }
  return safe;
}

}  // namespace

base::Result<EngineRights> EngineRights::write(const std::filesystem::path& data_directory, bool restricted) {
  // The engine would also merge what lies in conf.d and the like beside its files: the folder holds ours
  // alone.
  EngineRights rights(data_directory / "millrace-engine-configuration");
  std::error_code error;
  std::filesystem::remove_all(rights.folder_, error);
  if (!error) std::filesystem::create_directory(rights.folder_, error);
  if (!error) std::filesystem::permissions(rights.folder_, std::filesystem::perms::owner_all, error);
  if (error) return base::fatal(fmt::format("cannot make {}: {}", rights.folder_.string(), error.message()));
  const std::filesystem::path users = rights.folder_ / "users.xml";
  MILLRACE_TRY(base::replace_file(users, fmt::format(kUsers, restricted ? kListed : kAll)));
  MILLRACE_TRY(base::replace_file(rights.file(), fmt::format(kConfiguration, escaped(users.string()))));
  return rights;
}

EngineRights::~EngineRights() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

}  // namespace millrace::warehouse
