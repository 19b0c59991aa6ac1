#include "base/hex.h"

#include <array>

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

using namespace std::string_literals;

TEST(Hex, WritesEveryByteAsTwoLowerCaseDigits) {
  EXPECT_EQ(to_hex(std::string_view("\0\x0f\xa0\xff", 4)), "000fa0ff");
  EXPECT_EQ(to_hex(std::array<unsigned char, 2>{0xBE, 0xEF}), "beef");
  EXPECT_EQ(to_hex(std::string_view()), "");
  std::string text = "'";
  append_hex(text, "ab");
  EXPECT_EQ(text, "'6162");
}

TEST(Hex, ReadsDigitsOfEitherCaseAndNothingElse) {
  EXPECT_EQ(from_hex("00fFA0"), "\0\xff\xa0"s);
  EXPECT_EQ(from_hex(""), "");
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("0g"));
  EXPECT_FALSE(from_hex("-1"));
  EXPECT_FALSE(from_hex("0x"));
}

}  // namespace
}  // namespace millrace::base
