#include "telemetry/trace_context.h"

#include <gtest/gtest.h>

namespace millrace::telemetry {
namespace {

constexpr std::string_view kGood = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContext, PassesAValidHeaderOn) {
  EXPECT_EQ(accepted_traceparent(kGood), kGood);
}

TEST(TraceContext, KeepsWhatItKnowsOfAHigherVersion) {
  EXPECT_EQ(accepted_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later"),
            kGood);
  EXPECT_EQ(accepted_traceparent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), kGood);
}

TEST(TraceContext, IgnoresWhatIsMalformed) {
  EXPECT_EQ(accepted_traceparent(std::nullopt), "");
  for (const std::string_view bad : {
           "",
           "00",
           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
           "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
           "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
       })
    EXPECT_EQ(accepted_traceparent(bad), "") << bad;
}

TEST(TraceContext, IsFollowedWhereTheCallerRecordsSpans) {
  const auto context = sampled_context(kGood);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(context->span_id, "00f067aa0ba902b7");
  EXPECT_EQ(to_traceparent(*context), kGood);
  // Other flags say nothing about it.
  EXPECT_TRUE(sampled_context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"));
  EXPECT_FALSE(sampled_context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
  EXPECT_FALSE(sampled_context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02"));
  EXPECT_FALSE(sampled_context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"));
  EXPECT_FALSE(sampled_context(""));
}

TEST(TraceContext, NamesNewSpansThatNobodyElseHas) {
  const std::string one = new_span_id();
  EXPECT_EQ(one.size(), 16U);
  EXPECT_EQ(one.find_first_not_of("0123456789abcdef"), std::string::npos) << one;
  EXPECT_NE(one, new_span_id());
}

}  // namespace
}  // namespace millrace::telemetry
