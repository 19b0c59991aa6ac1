#include "base/utc_time.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(UtcTime, WritesIsoSqlAndDates) {
  const UtcTime time = utc_from_ms(1'767'225'600'007);  // 2026-01-01T00:00:00.007Z
  EXPECT_EQ(to_iso8601(time), "2026-01-01T00:00:00.007Z");
  EXPECT_EQ(to_sql(time), "2026-01-01 00:00:00.007");
  EXPECT_EQ(to_date(std::chrono::floor<std::chrono::days>(time)), "2026-01-01");
  EXPECT_EQ(to_iso8601(utc_from_ms(-1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(to_seconds(utc_from_ms(-1)), -1);
}

TEST(UtcTime, ReadsTheFormsItPromises) {
  const auto expect = [](std::string_view text, std::int64_t ms) {
    const auto time = parse_utc(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(to_ms(*time), ms) << text;
  };
  expect("2026-01-01T00:00:00Z", 1'767'225'600'000);
  expect("2026-01-01 00:00:00", 1'767'225'600'000);
  expect("2026-01-01T00:00:00.007Z", 1'767'225'600'007);
  expect("2026-01-01T00:00:00.0079999Z", 1'767'225'600'007);
  expect("2026-01-01T02:00:00+02:00", 1'767'225'600'000);
  expect("2025-12-31T19:00:00-05:00", 1'767'225'600'000);
}

TEST(UtcTime, RefusesWhatIsNoTime) {
  for (const char* bad :
       {"", "2026-01-01", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00Zx",
        "2026-01-01T00:00:00.Z", "+026-01-01T00:00:00Z", "2026-1-1T00:00:00Z", "2026-01-01T00:00:00+9"})
    EXPECT_FALSE(parse_utc(bad)) << bad;
  for (const char* bad : {"", "2026-13-01", "2026-02-29", "2026-01-01T", "-001-01-01"})
    EXPECT_FALSE(parse_date(bad)) << bad;
  EXPECT_TRUE(parse_date("2024-02-29"));
}

}  // namespace
}  // namespace millrace::base
