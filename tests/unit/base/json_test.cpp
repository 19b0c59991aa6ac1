#include "base/json.h"

#include <gtest/gtest.h>

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
