#include "base/environment.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>

namespace millrace::base {
namespace {

TEST(TakeFromEnvironment, LeavesNeitherTheVariableNorItsValue) {
  ASSERT_EQ(::setenv("MILLRACE_TEST_SECRET", "hidden", 1), 0);
  const char* const where = std::getenv("MILLRACE_TEST_SECRET");

  EXPECT_EQ(take_from_environment("MILLRACE_TEST_SECRET"), "hidden");

  EXPECT_EQ(std::getenv("MILLRACE_TEST_SECRET"), nullptr);
  EXPECT_EQ(std::string(where, 6), std::string(6, '\0')) << "the memory that it was in";
  EXPECT_EQ(take_from_environment("MILLRACE_TEST_SECRET"), std::nullopt);
}

}  // namespace
}  // namespace millrace::base
