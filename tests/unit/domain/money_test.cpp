#include "domain/money.h"

#include <gtest/gtest.h>

namespace millrace::domain {
namespace {

TEST(Money, ReadsExactlyAndWritesBack) {
  for (const char* text : {"0.00", "12.00", "-0.50", "1299.99", "99999999999999.99"}) {
    const auto money = Money::parse(text);
    ASSERT_TRUE(money) << text;
    EXPECT_EQ(money->text2(), text);
  }
  EXPECT_EQ(Money::parse("0.0125")->units(), 125);
  EXPECT_EQ(Money::parse("7")->text4(), "7.0000");
  EXPECT_EQ(Money::parse("1.250000")->text4(), "1.2500");
}

TEST(Money, RefusesWhatIsNoAmount) {
  for (const char* bad : {"", "-", ".5", "5.", "1e3", "+1", "1,5", "0.00001", "100000000000000", " 1", "nan"})
    EXPECT_FALSE(Money::parse(bad)) << bad;
}

TEST(Money, RoundsHalfACentAwayFromZero) {
  EXPECT_EQ(Money::from_units(50).text2(), "0.01");
  EXPECT_EQ(Money::from_units(49).text2(), "0.00");
  EXPECT_EQ(Money::from_units(-50).text2(), "-0.01");
  EXPECT_EQ(Money::from_units(-49).text2(), "0.00");
  EXPECT_EQ(Money::from_units(12'345'650).text2(), "1234.57");
}

TEST(Money, FromDoubleFindsTheDecimalThatWasMeant) {
  for (const char* text :
       {"0.1", "1299.99", "29.99", "0.29", "4.35", "123456789.01", "999999999.99", "0.0001"}) {
    const auto money = Money::from_double(std::stod(text), 4);
    ASSERT_TRUE(money) << text;
    EXPECT_EQ(*money, *Money::parse(text)) << text;
  }
  EXPECT_FALSE(Money::from_double(10.005, 2));
  EXPECT_FALSE(Money::from_double(0.00001, 4));
  EXPECT_FALSE(Money::from_double(1e300, 2));
  EXPECT_FALSE(Money::from_double(std::numeric_limits<double>::quiet_NaN(), 2));
}

}  // namespace
}  // namespace millrace::domain
