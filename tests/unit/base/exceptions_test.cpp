#include "base/exceptions.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "base/side_task.h"

namespace millrace::base {
namespace {

TEST(Exceptions, AreCaughtAndCounted) {
  const std::uint64_t before = exceptions_caught();
  EXPECT_EQ(exception_of([] {}), std::nullopt);
  EXPECT_EQ(exception_of([] { throw std::runtime_error("on purpose"); }), "on purpose");
  EXPECT_TRUE(exception_of([] { throw 7; }));
  EXPECT_EQ(exceptions_caught() - before, 2U);
}

TEST(Exceptions, BecomeErrorsOfWhatReturnsResults) {
  EXPECT_EQ(without_exceptions([]() -> Result<int> { return 7; }), 7);
  const auto failed = without_exceptions([]() -> Result<int> { throw std::runtime_error("on purpose"); });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::kFatal);
}

TEST(Exceptions, OfASideTaskAreItsOutcome) {
  SideTask task([]() -> Result<void> { throw std::runtime_error("on purpose"); });
  const auto outcome = task.outcome();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message, "an exception: on purpose");
}

}  // namespace
}  // namespace millrace::base
