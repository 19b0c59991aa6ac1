#include "warehouse/sql/statement.h"

#include <gtest/gtest.h>

namespace millrace::warehouse {
namespace {

using Kind = Statement::Kind;

struct Insert {
  const char* text;
  const char* insert;
  const char* format;
  const char* rows;
};

TEST(Statement, FindsWhereTheRowsOfAnInsertBegin) {
  for (const Insert& wanted : {
           Insert{"INSERT INTO t FORMAT CSV\n1,2", "INSERT INTO t ", "CSV", "1,2"},
           Insert{"INSERT INTO t FORMAT CSV 1,2", "INSERT INTO t ", "CSV", "1,2"},
           Insert{"insert into `a b`.t (x, y) Format RowBinary \r\n\n\t", "insert into `a b`.t (x, y) ",
                  "RowBinary", "\n\t"},
           Insert{"INSERT INTO t SETTINGS a = 1, b = 'FORMAT x' FORMAT TSV\n",
                  "INSERT INTO t SETTINGS a = 1, b = 'FORMAT x' ", "TSV", ""},
           Insert{"INSERT INTO t (format, values) VALUES (1),(2);", "INSERT INTO t (format, values) ",
                  "Values", " (1),(2);"},
           Insert{"INSERT INTO t", "INSERT INTO t", "", ""},
           Insert{"INSERT INTO t (a) ; ", "INSERT INTO t (a) ", "", " "},
       }) {
    const auto found = examine(wanted.text, true);
    ASSERT_TRUE(found) << wanted.text;
    EXPECT_EQ(found->kind, Kind::kInsertData) << wanted.text;
    EXPECT_EQ(found->insert, wanted.insert);
    EXPECT_EQ(found->format, wanted.format);
    EXPECT_EQ(std::string_view(wanted.text).substr(found->data_begin), wanted.rows);
  }
}

TEST(Statement, TakesEverythingElseAsAWhole) {
  for (const char* text :
       {"SELECT 1", "", "-- INSERT", "INSERT INTO t SELECT 1 FORMAT CSV", "INSERT INTO t (a) SELECT 1",
        "INSERT INTO t (SELECT 1)", "INSERT INTO t WITH 1 AS x SELECT x",
        "INSERT INTO FUNCTION f() VALUES (1)", "INSERT INTO t FROM x", "(INSERT",
        "WITH 1 AS x INSERT INTO t SELECT x", "EXPLAIN INSERT INTO t VALUES (1)"}) {
    const auto found = examine(text, true);
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->kind, Kind::kOther) << text;
  }
}

// The text comes in pieces that may end anywhere: no prefix may be decided otherwise than the whole.
TEST(Statement, DecidesAPrefixOnlyAsItDecidesTheWhole) {
  for (const std::string text :
       {"INSERT INTO `t` (a, b) /* FORMAT X */ FORMAT RowBinary\n\nrows", "INSERT INTO t VALUES (1)",
        "SELECT 'INSERT'", "INSERT INTO t (a) SELECT 1", "INSERT INTO t (SELECT 1)", "INSERTED",
        "INSERT INTO t FORMATTED FORMAT CSVWithNames 1", "INSERT INTO t (WITH 1 AS x SELECT x)"}) {
    const auto whole = examine(text, true);
    ASSERT_TRUE(whole) << text;
    for (std::size_t size = 0; size < text.size(); ++size) {
      const auto part = examine(std::string_view(text).substr(0, size), false);
      ASSERT_TRUE(part) << text.substr(0, size);
      if (part->kind == Kind::kIncomplete) continue;
      EXPECT_EQ(part->kind, whole->kind) << text.substr(0, size);
      EXPECT_EQ(part->format, whole->format) << text.substr(0, size);
      EXPECT_EQ(part->data_begin, whole->data_begin) << text.substr(0, size);
    }
  }
}

TEST(Statement, RefusesRowsFromAFileOfTheServer) {
  const auto found = examine("INSERT INTO t FROM INFILE 'x' FORMAT CSV", true);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().vendor_code, 497);
}

TEST(Statement, FindsTheFormatClauseAndNothingThatLooksLikeIt) {
  EXPECT_EQ(format_clause("SELECT 1 FORMAT JSON"), "JSON");
  EXPECT_EQ(format_clause("SELECT 1 FORMAT `Values`"), "Values");
  EXPECT_EQ(format_clause("SELECT 1 format CSV ;"), "CSV");
  EXPECT_EQ(format_clause("SELECT 1 FORMAT CSV SETTINGS a = 1"), "CSV");
  EXPECT_EQ(format_clause("SELECT 1 SETTINGS a = 1 FORMAT CSV -- FORMAT XML"), "CSV");
  EXPECT_EQ(format_clause("SELECT (SELECT 1 FORMAT CSV)"), "");
  EXPECT_EQ(format_clause("SELECT ' FORMAT JSON'"), "");
  EXPECT_EQ(format_clause("SELECT 1 AS format"), "");
  EXPECT_EQ(format_clause("SELECT format x FROM t"), "");
  EXPECT_EQ(format_clause("SELECT format('{}', 1)"), "");
}

TEST(Statement, KnowsWhatCanBeStreamed) {
  for (const char* text : {"SELECT 1", " /* x */ select 1", "WITH 1 AS x SELECT x",
                           "((SELECT 1) UNION ALL SELECT 2)", "FROM t SELECT 1"})
    EXPECT_TRUE(is_select(text)) << text;
  for (const char* text : {"SHOW TABLES", "DESCRIBE t", "", "DROP TABLE t", "EXPLAIN SELECT 1"})
    EXPECT_FALSE(is_select(text)) << text;
}

TEST(Statement, KnowsThatNothingIsThere) {
  for (const char* text : {"", " \n", "-- x", ";", " /* x */ ; ; "})
    EXPECT_TRUE(is_blank_statement(text)) << text;
  for (const char* text : {"SELECT 1", "'", "; x"}) EXPECT_FALSE(is_blank_statement(text)) << text;
}

}  // namespace
}  // namespace millrace::warehouse
