#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "privileges/paths.h"
#include "privileges/user.h"
#include "support/temporary_directory.h"

namespace millrace::privileges {
namespace {

using base::ErrorKind;

TEST(FindUser, TakesNamesAndNumbers) {
  const auto root = find_user("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0u);
  EXPECT_EQ(find_user("0")->name, "root");
  EXPECT_EQ(find_user("0:7")->gid, 7u);
  const auto unknown = find_user("64777:64778");
  ASSERT_TRUE(unknown) << unknown.error().message;
  EXPECT_EQ(unknown->uid, 64777u);
  EXPECT_EQ(unknown->gid, 64778u);
}

TEST(FindUser, RefusesWhatNamesNobody) {
  EXPECT_EQ(find_user("no-such-user").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(find_user("").error().kind, ErrorKind::kNotFound);
  // A number without an entry has no group of its own; the highest one means "no change" to the kernel.
  for (const char* text :
       {"64777", "4294967295", "4294967296:1", "64777:", "64777:4294967295", ":1", "1:2:3"})
    EXPECT_EQ(find_user(text).error().kind, ErrorKind::kInvalid) << text;
}

class Follow : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(top() / "real/inner");
    std::ofstream(top() / "real/file") << "x";
  }
  [[nodiscard]] std::filesystem::path top() const { return std::filesystem::canonical(directory_.path()); }

 private:
  support::TemporaryDirectory directory_;
};

TEST_F(Follow, TellsEveryLinkOnTheWay) {
  std::filesystem::create_symlink("real", top() / "relative");
  std::filesystem::create_symlink(top() / "relative/inner", top() / "absolute");

  const auto real = follow(top() / "absolute/../file");

  ASSERT_TRUE(real) << real.error().message;
  EXPECT_EQ(real->path, top() / "real/file");
  EXPECT_TRUE(real->exists);
  ASSERT_EQ(real->passed.size(), 2u);
  EXPECT_EQ(real->passed[0].place, top() / "absolute");
  EXPECT_EQ(real->passed[1].place, top() / "relative");
  EXPECT_EQ(real->passed[1].owner, ::getuid());
}

TEST_F(Follow, SaysWhatIsNotThereAndWhatNeverEnds) {
  const auto missing = follow(top() / "real/none/below");
  ASSERT_TRUE(missing);
  EXPECT_FALSE(missing->exists);
  EXPECT_EQ(missing->path, top() / "real/none/below");
  EXPECT_EQ(follow(top() / "real/file/below").error().kind, ErrorKind::kInvalid);
  std::filesystem::create_symlink("loop", top() / "loop");
  EXPECT_EQ(follow(top() / "loop").error().kind, ErrorKind::kInvalid);
}

TEST_F(Follow, OpensNoLinkThatWasPutThereSince) {
  EXPECT_TRUE(open_as_it_is(top() / "real/file"));
  std::filesystem::create_symlink("real", top() / "swapped");
  EXPECT_FALSE(open_as_it_is(top() / "swapped"));
  EXPECT_FALSE(open_as_it_is(top() / "swapped/file"));
}

}  // namespace
}  // namespace millrace::privileges
