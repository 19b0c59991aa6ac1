#include "base/directory_lock.h"

#include <cerrno>
#include <chrono>
#include <fstream>
#include <future>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temporary_directory.h"

namespace millrace::base {
namespace {

namespace fs = std::filesystem;

class DirectoryLockTest : public testing::Test {
 protected:
  const support::TemporaryDirectory directory_;
  const fs::path folder_ = directory_.path();
  const fs::path file_ = folder_ / "lock";
};

TEST_F(DirectoryLockTest, HasOneOwnerAndNamesIt) {
  std::ofstream(file_) << "1234567890\n";  // of an owner that has gone
  auto first = DirectoryLock::take(file_);
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(DirectoryLock::written_owner(file_), ::getpid());
  EXPECT_EQ(fs::file_size(file_), std::to_string(::getpid()).size() + 1);

  const auto second = DirectoryLock::take(file_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(second.error().message, folder_.string() + " is in use by process " + std::to_string(::getpid()));
}

TEST_F(DirectoryLockTest, IsFreeWhenItsOwnerIsGone) {
  {
    const auto first = DirectoryLock::take(file_);
    ASSERT_TRUE(first.has_value());
  }
  EXPECT_TRUE(DirectoryLock::take(file_).has_value());
}

TEST_F(DirectoryLockTest, WaitsForAnOwnerThatGoesInTime) {
  auto taken = DirectoryLock::take(file_);
  ASSERT_TRUE(taken.has_value());
  std::optional<DirectoryLock> first(std::move(*taken));
  auto second = std::async(std::launch::async, [this] {
    return DirectoryLock::take(file_, Deadline::in(std::chrono::milliseconds(30'000))).has_value();
  });
  first.reset();
  EXPECT_TRUE(second.get());
}

TEST_F(DirectoryLockTest, FollowsNoLinkAndNeedsTheDirectory) {
  fs::create_symlink(folder_ / "elsewhere", file_);
  const auto linked = DirectoryLock::take(file_);
  ASSERT_FALSE(linked.has_value());
  EXPECT_EQ(linked.error().vendor_code, ELOOP);
  EXPECT_FALSE(fs::exists(folder_ / "elsewhere"));

  const auto missing = DirectoryLock::take(folder_ / "missing" / "lock");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().kind, ErrorKind::kFatal);
  EXPECT_EQ(missing.error().vendor_code, ENOENT);
  EXPECT_EQ(DirectoryLock::written_owner(folder_ / "missing" / "lock"), std::nullopt);
}

}  // namespace
}  // namespace millrace::base
