#include "warehouse/lexer.h"

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
  for (const char* text : {"'a", "`a", "\"a", "/* a", "$t$ a", "'a\\'"})
    EXPECT_EQ(joined(text), "error 62") << text;
}

TEST(Lexer, RefusesWhatCouldHideText) {
  EXPECT_EQ(joined("a \xE2\x80\x98' b"), "error 62");
  EXPECT_EQ(joined("\xE2\x80\x9C"), "error 62");
  EXPECT_EQ(joined(std::string_view("a\0b", 3)), "error 62");
  EXPECT_EQ(joined("'\xE2\x80\x98'"), "'\xE2\x80\x98'");
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
