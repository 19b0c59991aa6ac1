#include "warehouse/sql/values_check.h"

#include <gtest/gtest.h>

namespace millrace::warehouse {
namespace {

const StatementRules& rules() {
  static const StatementRules made({"file", "numbers"});
  return made;
}

/// What goes to the engine when the rows come in pieces of `size` bytes; "refused N" with the error's code.
std::string fed(std::string_view rows, std::size_t size, std::size_t token_bytes_max = 1'000) {
  ValuesCheck check(rules(), token_bytes_max);
  std::string given;
  for (; !rows.empty(); rows.remove_prefix(std::min(size, rows.size()))) {
    const auto piece = check.feed(rows.substr(0, size), false);
    if (!piece) return "refused " + std::to_string(piece.error().vendor_code);
    given += *piece;
  }
  const auto rest = check.feed({}, true);
  if (!rest) return "refused " + std::to_string(rest.error().vendor_code);
  return given += *rest;
}

TEST(ValuesCheck, RefusesCallsHoweverTheyAreCutIntoPieces) {
  for (const std::string rows :
       {"(file('/etc/hostname'))", "('it''s'), (file\xC2\xA0('x'))", "(1, /* ' */ file /* ( */ ('x'))",
        "(`file`('x'))", "((SELECT * FROM numbers(1)))", "(1 + (SELECT 1 SETTINGS max_threads = 1))",
        "((SELECT * FROM format(Values, 's String', '(1)')))", "(format('{}', 1), (SELECT 1))",
        "((SELECT file('x')))", "($a$ ' $a$), (file('x'))", "(numbers(1))", "(0.5e--b, file('x'))",
        "(url('x'))"})
    for (const std::size_t size : {1u, 2u, 3u, 7u, 1'000u})
      EXPECT_EQ(fed(rows, size), "refused 497") << rows << " by " << size;
}

TEST(ValuesCheck, GivesOnEveryByteOfHarmlessRows) {
  for (const std::string rows :
       {"(1, 'file(x)'), (-2.5, NULL)", "(now(), toDate('2026-01-01'), [1, 2], {'a': 1})",
        "('\\'file('), ('b')\n", "", "(if(1, 'a', 'b'))  ", "(w.5e-2, t.1.2, .5e-2)",
        "(t.25e--b, file('x')\n)", "((SELECT max(a) FROM t WHERE b IN (SELECT 1)), 2)", "(format('{}', 1))",
        "('\xE2\x80\x9C')", "(1) -- file('x')\n, (2)"})
    for (const std::size_t size : {1u, 2u, 3u, 7u, 1'000u})
      EXPECT_EQ(fed(rows, size), rows) << rows << " by " << size;
}

TEST(ValuesCheck, NeverGivesOnACallBeforeItWasChecked) {
  ValuesCheck check(rules(), 1'000);
  const auto first = check.feed("(1, file", false);
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, "(1,");
  EXPECT_FALSE(check.feed("('x'))", false));
}

TEST(ValuesCheck, BoundsWhatItKeeps) {
  EXPECT_EQ(fed("('" + std::string(5'000, 'a') + "')", 100), "refused 229");
  EXPECT_EQ(fed("('" + std::string(900, 'a') + "')", 100), "('" + std::string(900, 'a') + "')");
}

}  // namespace
}  // namespace millrace::warehouse
