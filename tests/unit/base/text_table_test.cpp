#include "base/text_table.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(TextTable, FitsColumnsToTheirWidestCell) {
  TextTable table("lrl");
  table.add_row({"NAME", "COUNT", "REMARK"});
  table.add_row({"a", "1,234,567", ""});
  table.add_row({"much longer", "-", "x"});
  EXPECT_EQ(table.text(),
            "NAME             COUNT  REMARK\n"
            "a            1,234,567\n"
            "much longer          -  x\n");
}

TEST(TextTable, CountsCharactersAndNotBytes) {
  TextTable table("ll");
  table.add_row({"cut…", "1"});
  table.add_row({"whole", "2"});
  EXPECT_EQ(table.text(),
            "cut…   1\n"
            "whole  2\n");
}

TEST(TextTable, LetsALineStandBetweenRows) {
  TextTable table("ll");
  table.add_row({"a", "b"});
  table.add_line("    a line that is wider than the columns");
  table.add_row({"c", "d"});
  EXPECT_EQ(table.text(),
            "a  b\n"
            "    a line that is wider than the columns\n"
            "c  d\n");
  EXPECT_EQ(TextTable("l").text(), "");
}

}  // namespace
}  // namespace millrace::base
