#include "consumer/offset_committer.h"

#include <vector>

#include <gtest/gtest.h>

#include "adapters/memory/memory_event_log.h"

namespace millrace::consumer {
namespace {

using adapters::memory::LogFault;
using adapters::memory::LogOperation;
using std::chrono::milliseconds;

base::Deadline soon() {
  return base::Deadline::in(milliseconds(20'000));
}

class OffsetCommitterTest : public testing::Test {
 protected:
  OffsetCommitterTest() {
    EXPECT_TRUE(log_.ensure_topic("topic", 1, soon()));
    auto joined = log_.join("group", "topic", soon());
    EXPECT_TRUE(joined);
    member_ = std::move(*joined);
    const auto assigned = member_->assignments(soon());
    EXPECT_TRUE(assigned);
    for (const ports::Assignment& assignment : *assigned) commits_.push_back({assignment, {5, "mine"}});
  }

  adapters::memory::MemoryEventLog log_;
  std::unique_ptr<ports::GroupMember> member_;
  std::vector<ports::AssignmentCommit> commits_;
};

TEST_F(OffsetCommitterTest, CommitsAtOnceAndThenAfterItsInterval) {
  OffsetCommitter committer({.stage = "stage", .interval = std::chrono::hours(1)});
  EXPECT_TRUE(committer.is_due());
  EXPECT_EQ(committer.commit(*member_, commits_), true);
  const auto committed = log_.committed("group", {"topic", 0}, soon());
  ASSERT_TRUE(committed && *committed);
  EXPECT_EQ((*committed)->offset, 5);
  EXPECT_EQ((*committed)->metadata, "mine");
  EXPECT_FALSE(committer.is_due());
}

TEST_F(OffsetCommitterTest, SaysThatItFailedAndIsDueLater) {
  log_.faults().set(LogOperation::kCommit, 1, LogFault::kFail);
  OffsetCommitter committer({.stage = "stage"});
  EXPECT_EQ(committer.commit(*member_, commits_), false);
  EXPECT_FALSE(committer.is_due());
  EXPECT_GT(committer.until_due(), milliseconds(0));
  EXPECT_EQ(committer.commit(*member_, commits_), true);
  EXPECT_TRUE(committer.is_due()) << "without an interval the next one is due at once";
}

TEST_F(OffsetCommitterTest, GoesOnWhenAPartitionHasPassedToAnother) {
  log_.expire_owner("group", "topic");
  auto other = log_.join("group", "topic", soon());
  ASSERT_TRUE(other);
  ASSERT_TRUE((*other)->assignments(soon()));
  OffsetCommitter committer({.stage = "stage"});
  EXPECT_EQ(committer.commit(*member_, commits_), false);
}

}  // namespace
}  // namespace millrace::consumer
