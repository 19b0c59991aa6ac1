#include "base/text_table.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace millrace::base {
namespace {

constexpr std::string_view kGap = "  ";

/// In characters of UTF-8.
std::size_t width_of(std::string_view cell) {
  return static_cast<std::size_t>(
      std::ranges::count_if(cell, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

void TextTable::add_row(std::vector<std::string> cells) {
  MILLRACE_ASSERT(cells.size() <= align_.size());
  rows_.push_back({.cells = std::move(cells)});
}

void TextTable::add_line(std::string text) {
  rows_.push_back({.cells = {std::move(text)}, .is_line = true});
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths(align_.size(), 0);
  for (const Row& row : rows_)
    for (std::size_t column = 0; !row.is_line && column < row.cells.size(); ++column)
      widths[column] = std::max(widths[column], width_of(row.cells[column]));
  std::string out;
  for (const Row& row : rows_) {
    std::string line;
    for (std::size_t column = 0; column < row.cells.size(); ++column) {
      const std::string& cell = row.cells[column];
      if (column > 0) line += kGap;
      const std::string blanks(row.is_line ? 0 : widths[column] - width_of(cell), ' ');
      line += align_[column] == 'r' ? blanks + cell : cell + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace millrace::base
