// One connection to a MySQL or MariaDB server: prepared statements under deadlines.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "adapters/mysql/server_address.h"
#include "base/deadline.h"
#include "base/result.h"
#include "base/stop.h"
#include "base/text.h"

namespace millrace::adapters::mysql {

/// A value for a placeholder: NULL, a number, or text (which must live until the call returns if it is a
/// view).
using Value = std::variant<std::monostate, std::int64_t, std::uint64_t, std::string_view, std::string>;

/// One field: its text, or nothing for NULL. An integer column comes as a number and has its text besides.
class Field : public std::optional<std::string_view> {
 public:
  Field() = default;
  explicit Field(std::string_view text) : std::optional<std::string_view>(text) {}
  Field(std::string_view text, std::int64_t number, bool is_unsigned)
      : std::optional<std::string_view>(text),
        number_(number),
        is_integer_(true),
        is_unsigned_(is_unsigned) {}

  /// The number, of a column of any kind; nothing for NULL, for what is no number and for what does not fit.
  template <std::integral Number>
  [[nodiscard]] std::optional<Number> integer() const {
    if (!is_integer_) return *this ? base::parse_int<Number>(**this) : std::nullopt;
    if (is_unsigned_) {
      const auto natural = static_cast<std::uint64_t>(number_);
      return std::in_range<Number>(natural) ? std::optional(static_cast<Number>(natural)) : std::nullopt;
    }
    return std::in_range<Number>(number_) ? std::optional(static_cast<Number>(number_)) : std::nullopt;
  }

 private:
  std::int64_t number_ = 0;  // its bits, if the column is unsigned
  bool is_integer_ = false;
  bool is_unsigned_ = false;
};

/// One row. Valid during the callback only.
using Row = std::span<const Field>;
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
/// connection unusable: drop it and open another. Session, whatever the server is configured to: UTC, strict
/// mode, utf8mb4, the isolation asked for, autocommit, no limit on the time of a statement, at most
/// kLockWaitSeconds for a lock.
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
