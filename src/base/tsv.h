// Reading ClickHouse's format TabSeparated.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace millrace::base {

/// One row without its escapes; nothing: NULL. Valid during the call that it is given to.
using TsvFields = std::span<const std::optional<std::string_view>>;

/// Cuts a stream of TabSeparated text into rows. One caller.
class TsvReader {
 public:
  /// An error of it ends the reading.
  using OnRow = std::function<Result<void>(TsvFields)>;

  explicit TsvReader(OnRow on_row) : on_row_(std::move(on_row)) {}

  /// The next piece of the text, cut anywhere. Errors: those of `on_row`.
  [[nodiscard]] Result<void> feed(std::string_view piece);
  /// Behind the last piece. Errors: kUnavailable (the text ends within a row).
  [[nodiscard]] Result<void> finish();

 private:
  [[nodiscard]] Result<void> take_line(std::string_view line);

  OnRow on_row_;
  std::string rest_;  // of a row whose end has not come yet
  // Kept from row to row for their memory.
  std::string unescaped_;
  std::vector<std::pair<std::size_t, std::size_t>> spans_;
  std::vector<std::optional<std::string_view>> fields_;
};

/// The rows of a whole text, one after the other. Errors: those of `on_row`; kUnavailable (it ends within a
/// row).
[[nodiscard]] Result<void> read_tsv(std::string_view text, TsvReader::OnRow on_row);

}  // namespace millrace::base
