// Statements of many rows or many ids, cut into few shapes so that the statement cache of a connection stays
// small.
#pragma once

#include <array>
#include <bit>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/mysql/connection.h"

namespace millrace::adapters::mysql {

/// Ids in one IN list; with kInsertRowsMax far below the 65,535 placeholders that the protocol allows.
inline constexpr std::size_t kInListMax = 1'024;
inline constexpr std::size_t kInsertRowsMax = 256;
/// Text in one INSERT; servers refuse packets above max_allowed_packet (64 MiB, on MariaDB 16 MiB, by
/// default).
inline constexpr std::size_t kInsertBytesMax = std::size_t{4} << 20;
/// Rows changed by one UPDATE with CASE, whose cost grows with their square.
inline constexpr std::size_t kUpdateRowsMax = 64;

/// "?,?,?".
[[nodiscard]] std::string placeholders(std::size_t count);

/// Calls `run(values, list)` for chunks of `ids`; `list` is "(?,?,…)" and `values` hold as many: the chunk,
/// padded to a power of two with its last id.
template <class Ids, class Text, class Run>
[[nodiscard]] base::Result<void> in_chunks(const Ids& ids, Text text, Run run,
                                           std::size_t chunk_max = kInListMax) {
  const std::size_t count = std::size(ids);
  for (std::size_t begin = 0; begin < count; begin += chunk_max) {
    const std::size_t used = std::min(chunk_max, count - begin);
    std::vector<Value> values;
    values.reserve(std::bit_ceil(used));
    for (std::size_t i = 0; i < std::bit_ceil(used); ++i)
      values.emplace_back(text(ids[begin + std::min(i, used - 1)]));
    MILLRACE_TRY(run(std::span<const Value>(values), "(" + placeholders(values.size()) + ")"));
  }
  return {};
}

/// Gathers rows and sends them in INSERTs of 1, 2, 4 … kInsertRowsMax rows.
class MultiInsert {
 public:
  /// `head` is "INSERT INTO table (a, b) VALUES ".
  MultiInsert(Connection& connection, std::string_view head, std::size_t columns, base::Deadline deadline)
      : connection_(connection), head_(head), columns_(columns), deadline_(deadline) {}

  /// Text of views must live until `finish` returns.
  [[nodiscard]] base::Result<void> add(std::initializer_list<Value> row);
  [[nodiscard]] base::Result<void> finish();

 private:
  Connection& connection_;
  std::string_view head_;
  std::size_t columns_;
  base::Deadline deadline_;
  std::vector<Value> values_;
  std::size_t bytes_ = 0;
};

/// "UPDATE table SET a = CASE key WHEN ? THEN ? … ELSE a END, … WHERE key IN (?, …)" for up to kUpdateRowsMax
/// rows at a time. Each row is its key and one value per column; `also` is put behind the columns: ",
/// updated_at = UTC_TIMESTAMP(3)".
[[nodiscard]] base::Result<void> update_each(Connection& connection, std::string_view table,
                                             std::string_view key, std::span<const std::string_view> columns,
                                             std::string_view also, std::span<const std::vector<Value>> rows,
                                             base::Deadline deadline);

}  // namespace millrace::adapters::mysql
