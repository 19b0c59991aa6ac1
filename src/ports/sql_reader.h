// Streaming reads of the order store in SQL of the caller's own: for verification and tools, not for the
// stages.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/result.h"

namespace millrace::ports {

/// One row; a field is its text form, or nothing for NULL. Valid during the callback only.
using SqlRow = std::span<const std::optional<std::string_view>>;

/// One connection in one read-only transaction that sees one moment of the database (a consistent snapshot,
/// taken when it was opened). One caller thread.
class SqlSnapshot {
 public:
  virtual ~SqlSnapshot() = default;

  /// Runs one SELECT with `?` placeholders and hands on its rows one by one without keeping them; stops with
  /// the callback's error when it returns one. Errors: kUnavailable, kInvalid (the statement).
  [[nodiscard]] virtual base::Result<void> read(std::string_view select,
                                                std::span<const std::string> parameters,
                                                const std::function<base::Result<void>(SqlRow)>& on_row,
                                                base::Deadline deadline) = 0;
};

/// Thread-safe.
class SqlReader {
 public:
  virtual ~SqlReader() = default;
  [[nodiscard]] virtual base::Result<std::unique_ptr<SqlSnapshot>> open_snapshot(base::Deadline deadline) = 0;
};

}  // namespace millrace::ports
