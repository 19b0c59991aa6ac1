// Tables of text for people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::base {

/// Columns as wide as their widest cell, counted in characters, with two blanks between them. One caller.
class TextTable {
 public:
  /// `align` has a letter for each column: l or r.
  explicit TextTable(std::string_view align) : align_(align) {}

  /// At most a cell for each column; the first row is the heading, if there is to be one.
  void add_row(std::vector<std::string> cells);
  /// A line of its own behind the last row, which no column is fitted to.
  void add_line(std::string text);

  /// Lines that end with \n and have no blanks before it.
  [[nodiscard]] std::string text() const;

 private:
  struct Row {
    std::vector<std::string> cells;
    bool is_line = false;
  };
  std::string align_;
  std::vector<Row> rows_;
};

}  // namespace millrace::base
