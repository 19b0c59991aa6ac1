// Reading CSV as RFC 4180 writes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/byte_source.h"

namespace millrace::tools {

inline constexpr std::size_t kCsvRecordBytesMax = std::size_t{1} << 20u;

/// Reads records one by one: comma, optional quotation marks, a doubled mark for one inside, line ends LF or
/// CRLF, also inside of quotation marks; a byte-order mark at the start is skipped. Strict: what RFC 4180
/// does not allow is an error that names the line. One caller.
class CsvReader {
 public:
  explicit CsvReader(ByteSource& source) : source_(source) {}

  /// True if there is a record; it lies in `fields` and `line`. Errors: kInvalid ("line 7: …"), and those of
  /// the source.
  [[nodiscard]] base::Result<bool> next();

  /// Of the record read last; valid until the next call of `next`.
  [[nodiscard]] const std::vector<std::string_view>& fields() const { return fields_; }
  /// The line that the record begins on; the first line is 1.
  [[nodiscard]] std::uint64_t line() const { return record_line_; }

 private:
  /// The next byte, or -1 at the end.
  [[nodiscard]] base::Result<int> take();
  [[nodiscard]] base::Result<int> peek();
  [[nodiscard]] base::Result<void> read_quoted();
  void end_field();

  ByteSource& source_;
  std::string_view piece_;
  std::size_t at_ = 0;
  bool at_start_ = true;
  bool ended_ = false;
  std::uint64_t line_ = 1;
  std::uint64_t record_line_ = 0;
  std::string text_;               // all fields of the record, one after the other
  std::vector<std::size_t> ends_;  // where each field ends in text_
  std::vector<std::string_view> fields_;
};

}  // namespace millrace::tools
