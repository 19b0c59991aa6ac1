#include "api/trace_context.h"

#include <gtest/gtest.h>

namespace millrace::api {
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

}  // namespace
}  // namespace millrace::api
