#include <gtest/gtest.h>

#include "warehouse/engine/error_code.h"
#include "warehouse/http/answer_format.h"

namespace millrace::warehouse {
namespace {

using namespace std::string_view_literals;

TEST(AnswerFormat, TellsWhichAnswersCanBePutTogetherFromPieces) {
  EXPECT_EQ(shape_of("TabSeparated"), AnswerShape::kRows);
  EXPECT_EQ(shape_of("jsoneachrow"), AnswerShape::kRows);
  EXPECT_EQ(shape_of("CSVWithNames"), AnswerShape::kHeaded);
  EXPECT_EQ(shape_of("RowBinaryWithNamesAndTypes"), AnswerShape::kHeaded);
  for (const char* format : {"JSON", "JSONCompact", "Parquet", "Values", "Pretty", "NotInventedYet",
                             "CustomSeparatedWithNames", ""})
    EXPECT_EQ(shape_of(format), AnswerShape::kWhole) << format;
}

TEST(AnswerFormat, MeasuresTheHeaderOfAPiece) {
  EXPECT_EQ(header_size("TabSeparatedWithNames", "a\tb\n1\t2\n"), 4u);
  EXPECT_EQ(header_size("TSVWithNamesAndTypes", "a\nUInt8\n1\n"), 8u);
  EXPECT_EQ(header_size("CSVWithNames", "\"a\nb\",\"c\"\"\n\"\n1,2\n"), 13u);
  EXPECT_EQ(header_size("JSONCompactEachRowWithNamesAndTypes", "[\"a\"]\n[\"UInt8\"]\n[1]\n"), 16u);
  EXPECT_EQ(header_size("RowBinaryWithNames",
                        "\x02\x01"
                        "a\x02"
                        "bc\x07"sv),
            6u);
  EXPECT_EQ(header_size("RowBinaryWithNamesAndTypes",
                        "\x01\x01"
                        "a\x05UInt8\x07"sv),
            9u);
  EXPECT_EQ(header_size("RowBinaryWithNamesAndTypes",
                        "\x01\x01"
                        "a\x7fUInt8"sv),
            9u);
  EXPECT_EQ(header_size("RowBinaryWithNamesAndTypes", ""), 0u);
}

TEST(ErrorCode, MapsCodesToClickHousesStatus) {
  for (const auto& [code, status] : {std::pair{62, 400},
                                     {60, 404},
                                     {81, 404},
                                     {115, 404},
                                     {516, 403},
                                     {497, 403},
                                     {159, 408},
                                     {241, 500},
                                     {202, 503},
                                     {48, 501},
                                     {194, 401},
                                     {229, 413},
                                     {779, 415},
                                     {395, 500}})
    EXPECT_EQ(http_status(code), status) << code;
}

TEST(ErrorCode, TakesRepeatedWrappingsOff) {
  const auto wrapped = engine_error(
      "Code: 73. DB::Exception: Code: 73. DB::Exception: Unknown format X. (UNKNOWN_FORMAT) (version 1.2). "
      "(UNKNOWN_FORMAT) (version 1.2)",
      "1.2");
  EXPECT_EQ(wrapped.message, "Code: 73. DB::Exception: Unknown format X. (UNKNOWN_FORMAT) (version 1.2)");
  EXPECT_EQ(wrapped.vendor_code, 73);
  const auto plain = engine_error("Code: 60. DB::Exception: No table. (UNKNOWN_TABLE)", "1.2");
  EXPECT_EQ(plain.message, "Code: 60. DB::Exception: No table. (UNKNOWN_TABLE) (version 1.2)");
  const auto strange = engine_error("something else", "1.2");
  EXPECT_EQ(strange.vendor_code, 1002);
  EXPECT_EQ(strange.message, "Code: 1002. DB::Exception: something else. (UNKNOWN_EXCEPTION) (version 1.2)");
}

TEST(ErrorCode, WritesOwnErrorsInClickHousesForm) {
  EXPECT_EQ(exception_text({base::ErrorKind::kRejected, "no files", kAccessDenied}, "1.2"),
            "Code: 497. DB::Exception: no files. (ACCESS_DENIED) (version 1.2)");
  EXPECT_EQ(exception_text(engine_error("Code: 1. DB::Exception: x. (Y)", "1.2"), "1.2"),
            "Code: 1. DB::Exception: x. (Y) (version 1.2)");
}

}  // namespace
}  // namespace millrace::warehouse
