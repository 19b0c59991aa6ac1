#include "warehouse/sql/lexer.h"

#include <gtest/gtest.h>

namespace millrace::warehouse {
namespace {

std::string joined(std::string_view text) {
  const auto tokens = lex(text);
  if (!tokens) return "error " + std::to_string(tokens.error().vendor_code);
  std::string all;
  for (const Token& token : *tokens) {
    if (!all.empty()) all += '|';
    all += token.text;
  }
  return all;
}

TEST(Lexer, LeavesOutBlanksAndEveryKindOfComment) {
  EXPECT_EQ(joined("a -- b\n c /* d -- \n */ e #! f\n # g\n h"), "a|c|e|h");
  EXPECT_EQ(joined("-- only a comment"), "");
}

TEST(Lexer, KeepsQuotedTextTogetherWhateverItHolds) {
  EXPECT_EQ(joined("'a''b' 'c\\'d' `e``f` \"g -- \" 'h /*'"), "'a''b'|'c\\'d'|`e``f`|\"g -- \"|'h /*'");
  EXPECT_EQ(joined("$t$ it's $$ $t$ $$x$$"), "$t$ it's $$ $t$|$$x$$");
}

TEST(Lexer, RefusesWhatIsNotClosed) {
  for (const char* text : {"'a", "`a", "\"a", "/* a", "'a\\'"}) EXPECT_EQ(joined(text), "error 62") << text;
}

TEST(Lexer, RefusesWhatCouldHideText) {
  EXPECT_EQ(joined("a \xE2\x80\x98' b"), "error 62");
  EXPECT_EQ(joined("\xE2\x80\x9C"), "error 62");
  EXPECT_EQ(joined(std::string_view("a\0b", 3)), "error 62");
  EXPECT_EQ(joined("'\xE2\x80\x98'"), "'\xE2\x80\x98'");
}

TEST(Lexer, SkipsTheBlanksThatTheEngineSkips) {
  for (const char* blank :
       {"\xC2\x85", "\xC2\xA0", "\xE1\xA0\x8E", "\xE2\x80\x80", "\xE2\x80\x8D", "\xE2\x80\xA8",
        "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE2\x81\xA0", "\xE3\x80\x80", "\xEF\xBB\xBF"})
    EXPECT_EQ(joined("file" + std::string(blank) + "(x)"), "file|(|x|)") << blank;
  EXPECT_EQ(joined("a \xE2\x88\x92 b"), "a|\xE2\x88\x92|b");
  EXPECT_EQ(joined("file\xE2\x80\x8E(x)"), "error 62");
}

TEST(Lexer, ReadsNestedCommentsAsTheEngineDoes) {
  EXPECT_EQ(joined("SELECT 1 /* /* */ ' */, file('x') -- '"), "SELECT|1|,|file|(|'x'|)");
  EXPECT_EQ(joined("/*/ */ a"), "a");
  EXPECT_EQ(joined("/* /* */ a"), "error 62");
}

TEST(Lexer, TakesADollarWithoutItsSecondTagForAWord) {
  EXPECT_EQ(joined("{$x$:T}"), "{|$x$|:|T|}");
  EXPECT_EQ(joined("$x$ a"), "$x$|a");
  EXPECT_EQ(joined("$a b$ file('x') $a b$"), "$a|b$|file|(|'x'|)|$a|b$");
  EXPECT_EQ(joined("$$$"), "$|$|$");
  EXPECT_EQ(joined("$ a"), "$|a");
}

TEST(Lexer, KnowsWhereNumbersEnd) {
  EXPECT_EQ(joined("1$$ ' $$"), "1|$$ ' $$");
  EXPECT_EQ(joined("a...4"), "a|.|.|.4");
  EXPECT_EQ(joined("1.5e-3 + .5 0xFFp1 1_000 1file t.1.2 (a).1"),
            "1.5e-3|+|.5|0xFFp1|1_000|1file|t|.|1|.|2|(|a|)|.|1");
  EXPECT_EQ(joined("x'61''' b'01'"), "x'61'|''|b'01'");
}

TEST(Lexer, WaitsForTheRestOfAPieceOfText) {
  const auto last_step = [](std::string_view text) {
    Lexer lexer(text, false);
    Token token;
    Lexer::Step step = Lexer::Step::kToken;
    while (step == Lexer::Step::kToken) step = lexer.next(token);
    return step;
  };
  for (const char* text : {"a \xE2", "a \xC2", "a $x$ b", "a 'b", "a /* b */ /*"})
    EXPECT_EQ(last_step(text), Lexer::Step::kUnfinished) << text;
}

TEST(Lexer, ResolvesEscapesInNames) {
  const auto tokens = lex(R"("fil\x65" `a``b` 'c\n' $t$d$t$ e)");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(unquoted((*tokens)[0]), "file");
  EXPECT_EQ(unquoted((*tokens)[1]), "a`b");
  EXPECT_EQ(unquoted((*tokens)[2]), "c\n");
  EXPECT_EQ(unquoted((*tokens)[3]), "d");
  EXPECT_EQ(unquoted((*tokens)[4]), "e");
}

TEST(Lexer, QuotesSoThatReadingGivesTheSameAgain) {
  for (const std::string text : {"", "a", "it's", "back\\slash", "line\nend", "`'\"", "\\'"}) {
    for (const std::string& quoted : {quoted_string(text), quoted_name(text)}) {
      const auto tokens = lex(quoted);
      ASSERT_TRUE(tokens && tokens->size() == 1) << quoted;
      EXPECT_EQ(unquoted(tokens->front()), text);
    }
  }
}

}  // namespace
}  // namespace millrace::warehouse
