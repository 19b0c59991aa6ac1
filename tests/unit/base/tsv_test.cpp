#include "base/tsv.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

using namespace std::string_literals;
using Rows = std::vector<std::vector<std::optional<std::string>>>;

TsvReader::OnRow into(Rows& rows) {
  return [&rows](TsvFields fields) -> Result<void> {
    rows.emplace_back(fields.begin(), fields.end());
    return {};
  };
}

TEST(Tsv, ResolvesEscapesAndTellsNullFromItsText) {
  Rows rows;
  const auto read = read_tsv("a\\tb\\n\\\\\\'\\0\t\\N\t\\\\N\t\t\n\n", into(rows));
  ASSERT_TRUE(read.has_value());
  const Rows expected = {{"a\tb\n\\'\0"s, std::nullopt, "\\N", "", ""}, {""}};
  EXPECT_EQ(rows, expected);
}

TEST(Tsv, ReadsTheSameRowsHoweverTheStreamIsCut) {
  const std::string text = "1\ta\\tb\n2\t\\N\n3\t\\\\\n";
  Rows whole;
  ASSERT_TRUE(read_tsv(text, into(whole)).has_value());
  ASSERT_EQ(whole.size(), 3u);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Rows rows;
    TsvReader reader(into(rows));
    ASSERT_TRUE(reader.feed(std::string_view(text).substr(0, cut)).has_value());
    ASSERT_TRUE(reader.feed(std::string_view(text).substr(cut)).has_value());
    ASSERT_TRUE(reader.finish().has_value());
    EXPECT_EQ(rows, whole) << cut;
  }
}

TEST(Tsv, NoticesATextThatEndsWithinARow) {
  Rows rows;
  const auto read = read_tsv("1\ta\n2", into(rows));
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(rows.size(), 1u);
}

TEST(Tsv, EndsAtTheFirstRowThatIsRefused) {
  int rows = 0;
  const auto read = read_tsv("1\n2\n3\n", [&](TsvFields fields) -> Result<void> {
    ++rows;
    if (fields[0] == "2") return invalid("no");
    return {};
  });
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().message, "no");
  EXPECT_EQ(rows, 2);
}

}  // namespace
}  // namespace millrace::base
