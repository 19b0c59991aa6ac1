#include "base/uuid.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(Uuid, Version5MatchesTheKnownValueForAUrl) {
  // Computed with Python: uuid.uuid5(uuid.NAMESPACE_URL, "millrace:online-retail:536365").
  EXPECT_EQ(uuid_v5_url("millrace:online-retail:536365"), "9e5cfec7-8665-5f24-a1de-8b179663c46d");
}

TEST(Uuid, Version7SortsByTimeAndIsWellFormed) {
  const std::string a = uuid_v7(utc_from_ms(1'767'225'600'000));
  const std::string b = uuid_v7(utc_from_ms(1'767'225'600'001));
  EXPECT_LT(a, b);
  EXPECT_TRUE(is_uuid(a));
  EXPECT_EQ(a[14], '7');
  EXPECT_EQ(a.substr(0, 8), "019b76da");
  EXPECT_NE(a, uuid_v7(utc_from_ms(1'767'225'600'000)));
}

TEST(Uuid, RefusesOtherText) {
  EXPECT_FALSE(is_uuid(""));
  EXPECT_FALSE(is_uuid("019b76da-a800-7000-8000-00000000000"));
  EXPECT_FALSE(is_uuid("019b76da-a800-7000-8000-00000000000g"));
  EXPECT_FALSE(is_uuid("019b76daaa800-7000-8000-000000000000"));
}

}  // namespace
}  // namespace millrace::base
