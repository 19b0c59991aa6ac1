#include "tools/csv.h"

#include <fmt/format.h>

namespace millrace::tools {

using base::Result;

Result<int> CsvReader::peek() {
  while (at_ == piece_.size()) {
    if (ended_) return -1;
    MILLRACE_TRY_ASSIGN(piece_, source_.next());
    at_ = 0;
    ended_ = piece_.empty();
  }
  return static_cast<unsigned char>(piece_[at_]);
}

Result<int> CsvReader::take() {
  MILLRACE_TRY_ASSIGN(const int byte, peek());
  if (byte >= 0) ++at_;
  return byte;
}

void CsvReader::end_field() {
  ends_.push_back(text_.size());
}

/// After the opening mark, up to and with the closing one.
Result<void> CsvReader::read_quoted() {
  for (;;) {
    MILLRACE_TRY_ASSIGN(const int byte, take());
    if (byte < 0)
      return base::invalid(fmt::format("line {}: a quotation mark is opened and never closed", record_line_));
    if (text_.size() >= kCsvRecordBytesMax)
      return base::invalid(
          fmt::format("line {}: the record is longer than {} bytes; is a quotation mark missing?",
                      record_line_, kCsvRecordBytesMax));
    if (byte == '\n') ++line_;
    if (byte == '"') {
      MILLRACE_TRY_ASSIGN(const int following, peek());
      if (following != '"') return {};
      ++at_;
    }
    text_ += static_cast<char>(byte);
  }
}

Result<bool> CsvReader::next() {
  if (at_start_) {
    at_start_ = false;
    for (const int mark : {0xef, 0xbb, 0xbf}) {  // the byte-order mark in UTF-8
      MILLRACE_TRY_ASSIGN(const int byte, peek());
      if (byte != mark) break;
      ++at_;
    }
  }
  text_.clear();
  ends_.clear();
  fields_.clear();
  record_line_ = line_;
  MILLRACE_TRY_ASSIGN(const int first, peek());
  if (first < 0) return false;

  bool field_begins = true;
  for (;;) {
    MILLRACE_TRY_ASSIGN(int byte, take());
    if (byte == '"') {
      if (!field_begins)
        return base::invalid(
            fmt::format("line {}: a quotation mark inside of a field that does not begin with one", line_));
      MILLRACE_TRY(read_quoted());
      MILLRACE_TRY_ASSIGN(byte, take());
      if (byte != ',' && byte != '\n' && byte != '\r' && byte >= 0)
        return base::invalid(fmt::format("line {}: text after the closing quotation mark of a field", line_));
    }
    field_begins = byte == ',';
    if (byte == '\r') {
      MILLRACE_TRY_ASSIGN(byte, take());
      if (byte != '\n')
        return base::invalid(fmt::format("line {}: a carriage return without a line feed", line_));
    }
    if (byte == '\n') ++line_;
    if (byte == ',' || byte == '\n' || byte < 0) end_field();
    if (byte == '\n' || byte < 0) break;
    if (byte == ',') continue;
    if (text_.size() >= kCsvRecordBytesMax)
      return base::invalid(
          fmt::format("line {}: the record is longer than {} bytes", record_line_, kCsvRecordBytesMax));
    text_ += static_cast<char>(byte);
  }
  std::size_t begin = 0;
  for (const std::size_t end : ends_) {
    fields_.push_back(std::string_view(text_).substr(begin, end - begin));
    begin = end;
  }
  return true;
}

}  // namespace millrace::tools
