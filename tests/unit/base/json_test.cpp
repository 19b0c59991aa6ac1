#include "base/json.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/json_arena.h"

namespace millrace::base {
namespace {

TEST(Json, WriterPutsCommasAndEscapes) {
  std::string text;
  JsonWriter out(text);
  out.begin_object()
      .key("a")
      .number(1)
      .key("b")
      .begin_array()
      .string("x\"\n\x01")
      .null()
      .boolean(true)
      .end_array();
  out.key("c").begin_object().end_object().key("d").raw("12.50").end_object();
  EXPECT_EQ(text, R"({"a":1,"b":["x\"\n\u0001",null,true],"c":{},"d":12.50})");
}

TEST(Json, ParserRefusesWhatIsNotOneDocument) {
  for (const char* bad : {"", "{", "{} x", "{\"a\":}", "[1,]", "nul", "\"\xff\"", "{\"a\":1}{\"b\":2}"}) {
    const auto parsed = parse_json(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
  }
  EXPECT_TRUE(parse_json(" {\"a\": [1, 2.5, \"x\"]} \n"));
}

TEST(Json, ParserRefusesWhatIsNotUtf8) {
  // Overlong, a surrogate, above U+10FFFF, a lone continuation, a sequence cut short, and one that is no
  // lead.
  for (const std::string_view bad : {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80",
                                     "\xe2\x82", "\xf8\x88\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(parse_json("\"" + std::string(bad) + "\"")) << "in a string";
    EXPECT_FALSE(parse_json("{\"" + std::string(bad) + "\": 1}")) << "in a name";
    EXPECT_FALSE(parse_json("1" + std::string(bad))) << "behind a document";
    EXPECT_FALSE(parse_json("{" + std::string(bad) + "}")) << "between tokens";
  }
  EXPECT_TRUE(parse_json("\"\u00e9\xe2\x82\xac\xf0\x9f\x8e\x89\""));
  EXPECT_FALSE(parse_json(R"("\ud83d")")) << "half of a surrogate pair, escaped";
}

TEST(Json, ArenaHoldsADocumentOfAnySize) {
  std::string text = "[";
  for (int i = 0; i < 50'000; ++i) text += R"({"name": "a string that is too long to be kept inline"},)";
  text += "1]";
  JsonArena arena;
  const auto document = parse_json(text, arena);
  ASSERT_TRUE(document);
  EXPECT_EQ(document->get_array().size(), 50'001U);
  JsonArena other;
  EXPECT_FALSE(parse_json("{", other));
}

TEST(Json, ParserBoundsNesting) {
  EXPECT_FALSE(parse_json(std::string(100'000, '[')));
  EXPECT_TRUE(parse_json("[[[[1]]]]"));
}

TEST(Json, MembersNameTheFieldTheyMiss) {
  const auto document = parse_json(R"({"n": 1, "s": "x", "f": 1.5, "z": null})");
  ASSERT_TRUE(document);
  const auto& object = document->get_object();
  EXPECT_EQ(*string_member(object, "s"), "x");
  EXPECT_EQ(*int_member(object, "n"), 1);
  EXPECT_FALSE(int_member(object, "f"));
  EXPECT_EQ(find_member(object, "z"), nullptr);
  EXPECT_NE(string_member(object, "n").error().message.find("'n'"), std::string::npos);
}

}  // namespace
}  // namespace millrace::base
