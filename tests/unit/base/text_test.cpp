#include "base/text.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(Text, ParseIntTakesTheWholeTextOrNothing) {
  EXPECT_EQ(parse_int<int>("42"), 42);
  EXPECT_EQ(parse_int<int>("-1"), -1);
  EXPECT_FALSE(parse_int<int>("42 "));
  EXPECT_FALSE(parse_int<int>(""));
  EXPECT_FALSE(parse_int<std::uint8_t>("256"));
  EXPECT_FALSE(parse_int<unsigned>("-1"));
}

TEST(Text, Utf8RefusesOverlongSurrogatesAndCutSequences) {
  EXPECT_TRUE(is_utf8("plain \xc2\xa3 \xe2\x82\xac \xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xc0\x80"));
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));
  EXPECT_FALSE(is_utf8("\xe2\x82"));
  EXPECT_FALSE(is_utf8("\xf5\x80\x80\x80"));
  EXPECT_FALSE(is_utf8("\x80"));
}

TEST(Text, PrintableHidesControlCharactersAndCuts) {
  EXPECT_EQ(printable("a\nb\x1b[31m", 20), "a?b?[31m");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
  EXPECT_EQ(printable("abc", 3), "abc");
}

TEST(Text, PrintableIsUtf8WhateverItIsGivenAndWhereverItCuts) {
  EXPECT_EQ(printable("W\xffITE \xc2", 20), "W?ITE ?");
  EXPECT_EQ(printable("a\xc3\xa4\xc3\xa4", 4), "a\xc3\xa4…");
  EXPECT_EQ(printable("\xe2\x82\xac", 3), "\xe2\x82\xac");
}

TEST(Text, TrimAndCase) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim("   "), "");
  EXPECT_EQ(to_upper("85123a\xc3\xa9"), "85123A\xc3\xa9");
  EXPECT_EQ(to_lower("Order"), "order");
}

}  // namespace
}  // namespace millrace::base
