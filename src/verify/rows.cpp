#include "verify/rows.h"

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::verify {
namespace {

constexpr std::size_t kNull = static_cast<std::size_t>(-1);

/// Source: ClickHouse documentation, format TabSeparated, "Data formatting".
char unescape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '0':
      return '\0';
    default:
      return c;
  }
}

}  // namespace

std::string OrderRow::day() const {
  return columns[kOrderDateColumn].value_or("").substr(0, 10);
}

base::Result<OrderRow> read_order_row(std::span<const std::optional<std::string_view>> fields) {
  if (fields.size() < kOrderColumns + 1 || !fields[0])
    return base::invalid("an order row has too few fields");
  OrderRow row;
  row.id = *fields[0];
  for (std::size_t i = 0; i < kOrderColumns; ++i) {
    if (fields[i + 1]) row.columns[i] = std::string(*fields[i + 1]);
  }
  if (auto& total = row.columns[kTotalColumn]) {
    // Anything that is no amount of cents stays as it is and is shown as a difference.
    if (const auto cents = parse_decimal(*total, 2)) total = decimal_text(*cents, 2);
  }
  const auto version = base::parse_int<std::uint64_t>(row.columns[kVersionColumn].value_or(""));
  if (!version)
    return base::invalid(fmt::format("order {} has no numeric version", base::printable(row.id, 80)));
  row.version = *version;
  return row;
}

base::Result<void> TabSeparatedReader::feed(std::string_view piece) {
  while (true) {
    const auto end = piece.find('\n');
    if (end == std::string_view::npos) break;
    if (rest_.empty()) {
      MILLRACE_TRY(take_line(piece.substr(0, end)));
    } else {
      rest_ += piece.substr(0, end);
      MILLRACE_TRY(take_line(rest_));
      rest_.clear();
    }
    piece.remove_prefix(end + 1);
  }
  rest_ += piece;
  return {};
}

base::Result<void> TabSeparatedReader::finish() {
  if (!rest_.empty()) return base::unavailable("the warehouse's answer ended within a row");
  return {};
}

base::Result<void> TabSeparatedReader::take_line(std::string_view line) {
  unescaped_.clear();
  spans_.clear();
  std::size_t start = 0;
  bool is_null = false;
  const auto end_field = [&] {
    spans_.emplace_back(start, is_null ? kNull : unescaped_.size() - start);
    start = unescaped_.size();
    is_null = false;
  };
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\t') {
      end_field();
    } else if (line[i] == '\\' && i + 1 < line.size()) {
      ++i;
      if (line[i] == 'N') {
        is_null = true;
      } else {
        unescaped_ += unescape(line[i]);
      }
    } else {
      unescaped_ += line[i];
    }
  }
  end_field();

  fields_.clear();
  for (const auto& [at, length] : spans_) {
    if (length == kNull) {
      fields_.emplace_back(std::nullopt);
    } else {
      fields_.emplace_back(std::string_view(unescaped_).substr(at, length));
    }
  }
  return on_row_(fields_);
}

}  // namespace millrace::verify
