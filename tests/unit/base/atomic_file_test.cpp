#include "base/atomic_file.h"

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/temporary_directory.h"

namespace millrace::base {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class AtomicFileTest : public testing::Test {
 protected:
  const support::TemporaryDirectory directory_;
  const fs::path folder_ = directory_.path();
  const fs::path path_ = folder_ / "file";
  const fs::path partial_ = folder_ / "file.partial";
};

TEST_F(AtomicFileTest, KeepsTheOldTextUntilTheCommit) {
  ASSERT_TRUE(replace_file(path_, "old").has_value());
  auto file = AtomicFile::create(path_);
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE(file->write("new ").has_value());
  ASSERT_TRUE(file->write("text").has_value());
  EXPECT_EQ(text_of(path_), "old");
  ASSERT_TRUE(file->commit().has_value());
  EXPECT_EQ(text_of(path_), "new text");
  EXPECT_FALSE(fs::exists(partial_));
}

TEST_F(AtomicFileTest, LeavesNothingOfWhatIsNotCommitted) {
  ASSERT_TRUE(replace_file(path_, "old").has_value());
  {
    auto file = AtomicFile::create(path_);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->write("new").has_value());
    EXPECT_TRUE(fs::exists(partial_));
  }
  EXPECT_EQ(text_of(path_), "old");
  EXPECT_FALSE(fs::exists(partial_));
}

TEST_F(AtomicFileTest, HasItsModeWhateverTheUmaskAndWhatWasThere) {
  std::ofstream(path_) << "open to all";
  fs::permissions(path_, fs::perms::all);
  const mode_t before = ::umask(0);
  const auto written = replace_file(path_, "secret");
  ::umask(before);
  ASSERT_TRUE(written.has_value());
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_TRUE(replace_file(path_, "shown", 0644).has_value());
  EXPECT_EQ(static_cast<unsigned>(fs::status(path_).permissions()), 0644u);
}

TEST_F(AtomicFileTest, FollowsNoLinkThatStandsInItsWay) {
  const fs::path other = folder_ / "other";
  std::ofstream(other) << "somebody's";
  fs::create_symlink(other, partial_);
  ASSERT_TRUE(replace_file(path_, "new").has_value());
  EXPECT_EQ(text_of(other), "somebody's");
  EXPECT_EQ(text_of(path_), "new");
}

TEST_F(AtomicFileTest, SaysWhatCannotBeWritten) {
  const fs::path missing = folder_ / "missing" / "file";
  const auto written = replace_file(missing, "text");
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().kind, ErrorKind::kFatal);
  EXPECT_EQ(written.error().vendor_code, ENOENT);
  EXPECT_EQ(written.error().message, "cannot write " + missing.string() + ": No such file or directory");
}

}  // namespace
}  // namespace millrace::base
