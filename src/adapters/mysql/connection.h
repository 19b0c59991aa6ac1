// One connection to a MySQL or MariaDB server: prepared statements under deadlines.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "adapters/mysql/server_address.h"
#include "base/deadline.h"
#include "base/result.h"
#include "base/stop.h"

namespace millrace::adapters::mysql {

/// A value for a placeholder: NULL, a number, or text (which must live until the call returns if it is a
/// view).
using Value = std::variant<std::monostate, std::int64_t, std::uint64_t, std::string_view, std::string>;

/// One row; a field is its text form, or nothing for NULL. Valid during the callback only.
using Row = std::span<const std::optional<std::string_view>>;
using OnRow = std::function<base::Result<void>(Row)>;

/// While one lives, every wait of its thread for a server ends when a stop is requested, as if its deadline
/// had passed: for a thread whose statements may take long. They do not nest.
class InterruptScope {
 public:
  explicit InterruptScope(const base::StopSignal& stop);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

enum class Isolation { kReadCommitted, kRepeatableRead };

/// One caller at a time. A call that meets its deadline, a lost server or a stopped result leaves the
/// connection unusable: drop it and open another. Session: UTC, strict mode, utf8mb4, the isolation asked
/// for, at most kLockWaitSeconds for a lock.
class Connection {
 public:
  static constexpr int kLockWaitSeconds = 5;
  static constexpr std::size_t kStatementsMax = 96;  ///< Prepared and kept, least recently used go first.

  /// `database`: the address's, or empty for none. Errors: kUnavailable, kFatal (refused credentials).
  [[nodiscard]] static base::Result<std::unique_ptr<Connection>> open(const ServerAddress& address,
                                                                      const std::string& database,
                                                                      Isolation isolation,
                                                                      base::Deadline deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs constant text without placeholders and ignores its rows. Errors: as kind_of says.
  [[nodiscard]] base::Result<void> command(std::string_view sql, base::Deadline deadline);

  /// Runs constant text of several statements, separated by semicolons, up to the first error.
  [[nodiscard]] base::Result<void> script(std::string_view sql, base::Deadline deadline);

  /// Runs a statement with placeholders; the number of rows it matched or inserted.
  [[nodiscard]] base::Result<std::uint64_t> execute(std::string_view sql, std::span<const Value> values,
                                                    base::Deadline deadline);

  /// Runs a SELECT with placeholders and hands its rows on one by one as they arrive; stops with the
  /// callback's error.
  [[nodiscard]] base::Result<void> query(std::string_view sql, std::span<const Value> values,
                                         const OnRow& on_row, base::Deadline deadline);

  [[nodiscard]] bool usable() const;
  /// For an idle connection: false if the server has hung up. One system call, no round trip.
  [[nodiscard]] bool looks_alive() const;

 private:
  class Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::mysql
