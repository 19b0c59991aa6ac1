#include "tools/csv.h"

#include <gtest/gtest.h>

namespace millrace::tools {
namespace {

using Table = std::vector<std::vector<std::string>>;

base::Result<Table> read(const std::string& text, std::size_t piece_bytes = 64) {
  const auto source = bytes_of_text(text, piece_bytes);
  CsvReader reader(*source);
  Table table;
  for (;;) {
    auto found = reader.next();
    if (!found) return std::unexpected(std::move(found).error());
    if (!*found) return table;
    table.emplace_back(reader.fields().begin(), reader.fields().end());
  }
}

std::string error_of(const std::string& text) {
  const auto table = read(text);
  return table ? "no error" : table.error().message;
}

TEST(Csv, ReadsFieldsAndRecords) {
  EXPECT_EQ(*read("a,b\nc,d\n"), (Table{{"a", "b"}, {"c", "d"}}));
  EXPECT_EQ(*read("a,b\nc,d"), (Table{{"a", "b"}, {"c", "d"}}));
  EXPECT_EQ(*read("a,b\r\nc,d\r\n"), (Table{{"a", "b"}, {"c", "d"}}));
  EXPECT_EQ(*read(",\n,,"), (Table{{"", ""}, {"", "", ""}}));
  EXPECT_EQ(*read(""), Table{});
  EXPECT_EQ(*read("\n"), (Table{{""}}));
}

TEST(Csv, ReadsQuotedFields) {
  EXPECT_EQ(*read("\"a,b\",\"say \"\"hi\"\"\",\"\"\n"), (Table{{"a,b", "say \"hi\"", ""}}));
  EXPECT_EQ(*read("\"two\r\nlines\",x\n"), (Table{{"two\r\nlines", "x"}}));
  EXPECT_EQ(*read("x,\"end\""), (Table{{"x", "end"}}));
}

TEST(Csv, SkipsAByteOrderMark) {
  EXPECT_EQ(*read("\xef\xbb\xbf"
                  "a,b\n"),
            (Table{{"a", "b"}}));
}

TEST(Csv, DoesNotCareHowTheFileIsCutIntoPieces) {
  const std::string text =
      "\xef\xbb\xbf"
      "a,\"b \"\"c\"\"\r\n\",d\r\n\"\",e,\"f\"\n";
  const Table whole = *read(text, 1'000);
  for (std::size_t piece_bytes = 1; piece_bytes < text.size(); ++piece_bytes)
    EXPECT_EQ(*read(text, piece_bytes), whole);
}

TEST(Csv, CountsLinesOverQuotedLineEnds) {
  const auto source = bytes_of_text("a\n\"b\nb\"\nc\n");
  CsvReader reader(*source);
  std::vector<std::uint64_t> lines;
  while (*reader.next()) lines.push_back(reader.line());
  EXPECT_EQ(lines, (std::vector<std::uint64_t>{1, 2, 4}));
}

TEST(Csv, NamesTheLineOfWhatItRefuses) {
  EXPECT_TRUE(error_of("a\nb \"c\"\n").starts_with("line 2: a quotation mark inside"));
  EXPECT_TRUE(error_of("a\n\"b\"c\n").starts_with("line 2: text after the closing quotation mark"));
  EXPECT_TRUE(error_of("a\n\"b\nc\n").starts_with("line 2: a quotation mark is opened and never closed"));
  EXPECT_TRUE(error_of("a\nb\rc\n").starts_with("line 2: a carriage return without"));
  EXPECT_TRUE(error_of("a\n\"" + std::string(kCsvRecordBytesMax + 1, 'x'))
                  .starts_with("line 2: the record is longer"));
  EXPECT_TRUE(
      error_of("a\n" + std::string(kCsvRecordBytesMax + 1, 'x')).starts_with("line 2: the record is longer"));
}

}  // namespace
}  // namespace millrace::tools
