// Holds the guard's lists and its lexer against the engine that is linked: a release that brings something
// new fails here until somebody has decided about it.
#include <filesystem>
#include <random>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "base/text.h"
#include "support/temporary_directory.h"
#include "warehouse/engine/engine.h"
#include "warehouse/sql/catalog.h"
#include "warehouse/sql/lexer.h"

namespace millrace::warehouse {
namespace {

Engine& engine() {
  static const support::TemporaryDirectory directory;
  // Not destroyed: the library's own shutdown is of no interest here.
  static Engine* opened = [] {
    auto made = Engine::open({.path = directory.path().string()});
    if (!made) throw std::runtime_error(made.error().message);
    return made->release();
  }();
  return *opened;
}

std::string ask(const std::string& statement) {
  auto session = engine().session({});
  if (!session) throw std::runtime_error(session.error().message);
  if (auto started = session->start(statement, "TabSeparatedRaw", {}, false); !started)
    throw std::runtime_error(started.error().message);
  const auto answer = session->next();
  if (!answer) throw std::runtime_error(answer.error().message);
  return std::string(*answer);
}

std::vector<std::string> names(const std::string& statement) {
  std::istringstream lines(ask(statement));
  std::vector<std::string> found;
  for (std::string line; std::getline(lines, line);) found.push_back(line);
  return found;
}

struct Listing {
  const char* table;
  NameList Catalog::* list;
};

class EngineNames : public testing::TestWithParam<Listing> {};

TEST_P(EngineNames, AreAllAllowedOrRefusedBySomebody) {
  const NameList& list = catalog().*GetParam().list;
  const auto known = names(std::string("SELECT name FROM system.") + GetParam().table);
  ASSERT_GT(known.size(), 2u);
  for (const std::string& name : known)
    EXPECT_NE(list.verdict(name), NameList::Verdict::kUnknown)
        << name << " of system." << GetParam().table << ": decide about it in src/warehouse/sql/catalog";
}

INSTANTIATE_TEST_SUITE_P(OfTheEngine, EngineNames,
                         testing::Values(Listing{"settings", &Catalog::settings},
                                         Listing{"merge_tree_settings", &Catalog::merge_tree_settings},
                                         Listing{"functions", &Catalog::functions},
                                         Listing{"table_functions", &Catalog::table_functions},
                                         Listing{"formats", &Catalog::formats},
                                         Listing{"table_engines", &Catalog::table_engines},
                                         Listing{"database_engines", &Catalog::database_engines},
                                         Listing{"dictionary_sources", &Catalog::dictionary_sources},
                                         Listing{"dictionary_layouts", &Catalog::dictionary_layouts}),
                         [](const auto& tested) { return tested.param.table; });

TEST(EngineWords, CombinatorsOfAggregateFunctionsAreKnown) {
  // A name behind which a refused function could hide: the guard takes these endings off.
  const std::set<std::string> known = {"ArgMax", "ArgMin",   "Array", "Distinct",    "ForEach",
                                       "If",     "Map",      "Merge", "Null",        "OrDefault",
                                       "OrNull", "Resample", "State", "SimpleState", "Tuple"};
  for (const std::string& name : names("SELECT name FROM system.aggregate_function_combinators"))
    EXPECT_TRUE(known.contains(name)) << name;
}

/// The engine's own tokens that are neither blanks nor comments, as "begin-end"; "error" when it cannot read
/// them all.
std::string engines_tokens(const std::string& text) {
  std::string joined;
  for (const std::string& line :
       names("SELECT if(t.3 LIKE 'Error%', 'error', concat(toString(t.1), '-', toString(t.2))) FROM (SELECT "
             "arrayJoin(tokenizeQuery(" +
             quoted_string(text) + ")) AS t) WHERE t.3 NOT IN ('Whitespace', 'Comment', 'EndOfStream')"))
    joined += line + " ";
  return joined.find("error") == std::string::npos ? joined : "error ";
}

std::string own_tokens(const std::string& text) {
  const auto tokens = lex(text);
  if (!tokens) return "error";
  std::string joined;
  for (const Token& token : *tokens)
    joined += std::to_string(token.begin) + "-" + std::to_string(token.end) + " ";
  return joined;
}

TEST(EngineWords, AreSplitAsTheEngineSplitsThem) {
  for (const std::string text : {"SELECT 1",
                                 "SELECT a.b, `c d`, \"e\" FROM t",
                                 "x = 'it''s' AND y = 'a\\'b'",
                                 "a/* /* */ ' */b -- c\nd",
                                 "#! x\ny # z\nw",
                                 "$$ a ' $$ b $x$ c $x$",
                                 "$x$ d",
                                 "{$x$:T}",
                                 "$ a",
                                 "a$b$c",
                                 "_a1 + 1e5",
                                 "file\u00a0(\u2003'x'\u3000)",
                                 "\ufeffSELECT 1",
                                 "a \u2212 b",
                                 "/**/a/*b*/",
                                 "''",
                                 "'\\\\'",
                                 "`a``b`",
                                 "(a,[b],{c})",
                                 "1.5",
                                 "t.1",
                                 "\v\f\ta"}) {
    EXPECT_EQ(own_tokens(text), engines_tokens(text)) << text;
  }
}

TEST(EngineWords, AreSplitAsTheEngineSplitsThemInTextsMadeByChance) {
  const std::vector<std::string> parts = {"a",  "file", "1",   ".",  "$",      "$$", "$a$",    "'",  "''",
                                          "\"", "`",    "\\",  "/*", "*/",     "--", "#!",     "# ", "\n",
                                          " ",  "(",    ")",   ",",  "{",      ":",  "\u00a0", "x'", "0x",
                                          "0b", "_",    "1_0", "e+", "\u2212", "e-"};
  std::mt19937 random(20'261'128);
  for (int round = 0; round < 600; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) text += parts[random() % parts.size()];
    // Signs are told apart one by one here, and what begins with ".e" is no number.
    if (text.find("::") != std::string::npos || text.find(".e") != std::string::npos) continue;
    const std::string own = own_tokens(text);
    // Where the engine reads no further it runs nothing either.
    if (own == "error") continue;
    const std::string whole = engines_tokens(text);
    if (whole == "error ") continue;
    EXPECT_EQ(own, whole) << text;
  }
}

TEST(EngineWords, EveryBlankOfTheEngineIsABlankHere) {
  // All code points of the basic plane outside of ASCII and surrogates, in one question of the engine for
  // each block of 256.
  for (unsigned block = 0x00; block <= 0xFF; ++block) {
    if (block >= 0xD8 && block <= 0xDF) continue;
    std::vector<std::string> texts;
    std::string array;
    for (unsigned low = 0; low < 256; ++low) {
      const unsigned point = block * 256 + low;
      if (point < 0x80) continue;
      std::string bytes;
      if (point < 0x800) {
        bytes += static_cast<char>(0xC0 | (point >> 6));
      } else {
        bytes += static_cast<char>(0xE0 | (point >> 12));
        bytes += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      }
      bytes += static_cast<char>(0x80 | (point & 0x3F));
      texts.push_back("SELECT" + bytes + "1");
      array += (array.empty() ? "" : ",") + quoted_string(texts.back());
    }
    const auto readable = names("SELECT formatQueryOrNull(x) IS NOT NULL FROM (SELECT arrayJoin([" + array +
                                "]) AS x) FORMAT TabSeparated");
    ASSERT_EQ(readable.size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(lex(texts[i]).has_value(), readable[i] == "1") << "block " << block << " at " << i;
  }
}

}  // namespace
}  // namespace millrace::warehouse
