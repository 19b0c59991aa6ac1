#include "base/tsv.h"

namespace millrace::base {
namespace {

constexpr std::size_t kNull = static_cast<std::size_t>(-1);

/// What a backslash and `c` mean. Source: ClickHouse documentation, format TabSeparated, "Data formatting".
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

Result<void> TsvReader::feed(std::string_view piece) {
  for (auto end = piece.find('\n'); end != std::string_view::npos; end = piece.find('\n')) {
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

Result<void> TsvReader::finish() {
  if (!rest_.empty()) return unavailable("the warehouse's answer ended within a row");
  return {};
}

Result<void> TsvReader::take_line(std::string_view line) {
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

Result<void> read_tsv(std::string_view text, TsvReader::OnRow on_row) {
  TsvReader reader(std::move(on_row));
  MILLRACE_TRY(reader.feed(text));
  return reader.finish();
}

}  // namespace millrace::base
