#include "verify/decimal.h"

#include <gtest/gtest.h>

namespace millrace::verify {
namespace {

TEST(VerifyDecimal, ReadsWhatBothSidesWrite) {
  EXPECT_TRUE(parse_decimal("12.5", 2) == Int128{1250});
  EXPECT_TRUE(parse_decimal("12.50", 2) == Int128{1250});
  EXPECT_TRUE(parse_decimal("12", 4) == Int128{120000});
  EXPECT_TRUE(parse_decimal("-0.01", 2) == Int128{-1});
  EXPECT_TRUE(parse_decimal("7.500", 2) == Int128{750});
  EXPECT_TRUE(parse_decimal("0", 0) == Int128{0});
}

TEST(VerifyDecimal, RefusesWhatIsNoNumberOrTooFine) {
  for (const char* text : {"", "-", ".5", "5.", "1.2.3", "1e5", "12.345", " 1", "nan"})
    EXPECT_FALSE(parse_decimal(text, 2)) << text;
  EXPECT_FALSE(parse_decimal("999999999999999999999999999999999999999", 0));
}

TEST(VerifyDecimal, HoldsSumsBeyond64Bits) {
  const auto sum = parse_decimal("123456789012345678901234567890.12", 2);
  ASSERT_TRUE(sum.has_value());
  EXPECT_EQ(decimal_text(*sum, 2), "123456789012345678901234567890.12");
}

TEST(VerifyDecimal, WritesAllDecimals) {
  EXPECT_EQ(decimal_text(0, 2), "0.00");
  EXPECT_EQ(decimal_text(5, 2), "0.05");
  EXPECT_EQ(decimal_text(-105, 2), "-1.05");
  EXPECT_EQ(decimal_text(42, 0), "42");
  EXPECT_EQ(decimal_text(0, 0), "0");
}

TEST(VerifyDecimal, RoundsAHalfAwayFromZero) {
  EXPECT_TRUE(average_half_up(1, 2) == 1);
  EXPECT_TRUE(average_half_up(-1, 2) == -1);
  EXPECT_TRUE(average_half_up(100, 3) == 33);
  EXPECT_TRUE(average_half_up(200, 3) == 67);
  EXPECT_TRUE(average_half_up(0, 7) == 0);
}

}  // namespace
}  // namespace millrace::verify
