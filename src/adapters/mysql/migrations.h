// The numbered migrations of schema/mysql, embedded at build time, and their application.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "adapters/mysql/server_address.h"
#include "base/deadline.h"
#include "base/result.h"

namespace millrace::adapters::mysql {

struct Migration {
  int version = 0;              ///< 1, 2 …; 0 makes the table of the applied ones and is run every time.
  std::string_view name;        ///< "001_tables".
  std::string_view checksum;    ///< SHA-256 of the file, in hexadecimal.
  std::string_view statements;  ///< Can be run twice: a process may die between a statement and its record.
};

/// By version.
[[nodiscard]] std::span<const Migration> embedded_migrations();

struct InitOptions {
  /// Also the sample users, products and stock (migrations with "sample" in their name); never into the
  /// tables of a shop that was there before.
  bool sample_shop = true;
};

struct InitReport {
  bool database_created = false;
  std::vector<std::string_view> applied;  ///< Names, in order; empty when everything was there.
};

/// Creates the address's database if it is missing and applies what is missing, in order, each recorded. Safe
/// to run again and by several processes at once (a named lock of the server). Errors: kConflict (the file of
/// a recorded migration has changed, or the database is newer than this program), kUnavailable, kFatal
/// (refused), kInvalid (a statement failed).
[[nodiscard]] base::Result<InitReport> init_db(const ServerAddress& address, const InitOptions& options,
                                               base::Deadline deadline);

/// The same with other migrations, for tests.
[[nodiscard]] base::Result<InitReport> init_db(const ServerAddress& address, const InitOptions& options,
                                               std::span<const Migration> migrations,
                                               base::Deadline deadline);

}  // namespace millrace::adapters::mysql
