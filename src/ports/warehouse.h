// The warehouse: a columnar SQL store that is spoken to in statements with bound parameters and in streamed
// inserts.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"

namespace millrace::ports {

/// A value for {name:Type} in the statement's text: a text as it is, unquoted and unescaped; a number, a date
/// or an array in its text form (an array's texts must need no escaping).
struct QueryParameter {
  std::string name;
  std::string value;
};

/// Thread-safe. Errors of every call: kUnavailable (away, too slow, overloaded: try again), kInvalid (the
/// statement does not fit the tables, or may not touch them: a person must change something), kRejected (rows
/// with values that the table can never take), kFatal (refused credentials); the vendor code is the
/// warehouse's own error number.
class Warehouse {
 public:
  virtual ~Warehouse() = default;

  /// Runs a statement that returns no rows. Acknowledged means durable.
  [[nodiscard]] virtual base::Result<void> execute(std::string_view statement,
                                                   std::span<const QueryParameter> parameters,
                                                   base::Deadline deadline) = 0;

  /// Runs a query; the whole answer in `format` ("TabSeparated", "RowBinary", "JSONEachRow" …).
  [[nodiscard]] virtual base::Result<std::string> query(std::string_view statement, std::string_view format,
                                                        std::span<const QueryParameter> parameters,
                                                        base::Deadline deadline) = 0;

  /// As query, but hands the answer on piece by piece; stops with the sink's error when it returns one.
  [[nodiscard]] virtual base::Result<void> query_stream(
      std::string_view statement, std::string_view format, std::span<const QueryParameter> parameters,
      const std::function<base::Result<void>(std::string_view)>& sink, base::Deadline deadline) = 0;

  /// Inserts `data`, rows in `format`, into `table` ("database.table"); `columns` name their order.
  /// Acknowledged means durable. On an error any part of the rows may have been written, now or until the
  /// deadline.
  [[nodiscard]] virtual base::Result<void> insert(std::string_view table,
                                                  std::span<const std::string_view> columns,
                                                  std::string_view format, std::string_view data,
                                                  base::Deadline deadline) = 0;

  /// True if it answers. Errors: kUnavailable.
  [[nodiscard]] virtual base::Result<void> ping(base::Deadline deadline) = 0;
};

}  // namespace millrace::ports
