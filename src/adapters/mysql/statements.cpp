#include "adapters/mysql/statements.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace millrace::adapters::mysql {

std::string placeholders(std::size_t count) {
  std::string text;
  text.reserve(count * 2);
  for (std::size_t i = 0; i < count; ++i) text += i == 0 ? "?" : ",?";
  return text;
}

base::Result<void> MultiInsert::add(std::initializer_list<Value> row) {
  MILLRACE_ASSERT(row.size() == columns_);
  for (const Value& value : row) {
    if (const auto* view = std::get_if<std::string_view>(&value)) bytes_ += view->size();
    values_.push_back(value);
  }
  if (values_.size() < kInsertRowsMax * columns_ && bytes_ < kInsertBytesMax) return {};
  return finish();
}

base::Result<void> MultiInsert::finish() {
  const std::string row = "(" + placeholders(columns_) + ")";
  std::span<const Value> left = values_;
  while (!left.empty()) {
    const std::size_t rows = std::bit_floor(std::min(left.size() / columns_, kInsertRowsMax));
    std::string sql(head_);
    sql.reserve(head_.size() + rows * (row.size() + 1));
    for (std::size_t i = 0; i < rows; ++i) {
      if (i > 0) sql += ',';
      sql += row;
    }
    MILLRACE_TRY(connection_.execute(sql, left.first(rows * columns_), deadline_));
    left = left.subspan(rows * columns_);
  }
  values_.clear();
  bytes_ = 0;
  return {};
}

base::Result<void> update_each(Connection& connection, std::string_view table, std::string_view key,
                               std::span<const std::string_view> columns, std::string_view also,
                               std::span<const std::vector<Value>> rows, base::Deadline deadline) {
  while (!rows.empty()) {
    const std::size_t used = std::min(rows.size(), kUpdateRowsMax);
    // Padding with the last row is harmless: the first WHEN that fits wins, and both say the same.
    const std::size_t padded = std::bit_ceil(used);
    std::string sql = fmt::format("UPDATE {} SET ", table);
    std::vector<Value> values;
    values.reserve(padded * (columns.size() * 2 + 1));
    for (std::size_t column = 0; column < columns.size(); ++column) {
      sql += fmt::format("{}{} = CASE {}", column == 0 ? "" : ", ", columns[column], key);
      for (std::size_t i = 0; i < padded; ++i) {
        const std::vector<Value>& row = rows[std::min(i, used - 1)];
        MILLRACE_ASSERT(row.size() == columns.size() + 1);
        sql += " WHEN ? THEN ?";
        values.push_back(row[0]);
        values.push_back(row[column + 1]);
      }
      sql += fmt::format(" ELSE {} END", columns[column]);
    }
    sql += fmt::format("{} WHERE {} IN ({})", also, key, placeholders(padded));
    for (std::size_t i = 0; i < padded; ++i) values.push_back(rows[std::min(i, used - 1)][0]);
    MILLRACE_TRY(connection.execute(sql, values, deadline));
    rows = rows.subspan(used);
  }
  return {};
}

}  // namespace millrace::adapters::mysql
