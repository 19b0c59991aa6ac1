#include "transform/resume.h"

#include <gtest/gtest.h>

namespace millrace::transform {
namespace {

using base::ErrorKind;
using ports::CommittedOffset;

ResumeFacts facts(std::int64_t begin, std::int64_t end) {
  ResumeFacts known;
  known.input = {"order.events", 2};
  known.input_topic_id = "in";
  known.output_topic = "orders_analytics";
  known.output_topic_id = "out";
  known.group = "order-event-transformer";
  known.range = {begin, end};
  return known;
}

void expect_fatal(const ResumeFacts& known, std::string_view says) {
  const auto decided = decide_resume(known);
  ASSERT_FALSE(decided);
  EXPECT_EQ(decided.error().kind, ErrorKind::kFatal);
  EXPECT_NE(decided.error().message.find(says), std::string::npos) << decided.error().message;
}

TEST(DecideResume, BeginsAtTheBeginningOfAPartitionThatNobodyHasRead) {
  const auto point = decide_resume(facts(0, 7));
  ASSERT_TRUE(point);
  EXPECT_EQ(point->position, 0);
  EXPECT_FALSE(point->is_committed);
  EXPECT_EQ(point->warning, "");
}

TEST(DecideResume, TakesItsOwnCommit) {
  auto known = facts(3, 20);
  known.committed = CommittedOffset{10, commit_metadata(5, "in", "out")};
  const auto point = decide_resume(known);
  ASSERT_TRUE(point);
  EXPECT_EQ(point->position, 10);
  EXPECT_EQ(point->window_start, 5);
  EXPECT_TRUE(point->is_committed);
}

TEST(DecideResume, TakesTheOutputsWordWhenNothingIsCommitted) {
  auto known = facts(3, 20);
  known.progress = {14, "in"};
  const auto point = decide_resume(known);
  ASSERT_TRUE(point);
  EXPECT_EQ(point->position, 15);
  EXPECT_EQ(point->window_start, 3);
}

TEST(DecideResume, DoesNotTakeAnOffsetThatAnOperatorSetForItsOwn) {
  auto known = facts(3, 20);
  known.committed = CommittedOffset{19, ""};
  known.progress = {14, "in"};
  const auto point = decide_resume(known);
  ASSERT_TRUE(point);
  EXPECT_EQ(point->position, 15);
  EXPECT_NE(point->warning.find("was not set by us"), std::string::npos) << point->warning;
}

TEST(DecideResume, AcceptsALossThatAnOperatorHasAccepted) {
  auto known = facts(8, 20);
  known.progress = {4, "in"};
  expect_fatal(known, "were removed from the log before they were transformed");
  known.committed = CommittedOffset{8, ""};
  const auto point = decide_resume(known);
  ASSERT_TRUE(point);
  EXPECT_EQ(point->position, 8);
}

TEST(DecideResume, WritesAllAgainIntoARecreatedOutput) {
  auto known = facts(3, 20);
  known.committed = CommittedOffset{10, commit_metadata(5, "in", "former")};
  const auto point = decide_resume(known);
  ASSERT_TRUE(point);
  EXPECT_EQ(point->position, 3);
  EXPECT_FALSE(point->is_committed);
  EXPECT_NE(point->warning.find("was recreated"), std::string::npos) << point->warning;
}

TEST(DecideResume, RefusesARecreatedInput) {
  auto known = facts(0, 20);
  known.committed = CommittedOffset{10, commit_metadata(5, "former", "out")};
  expect_fatal(known, "deleted and recreated");
  known.committed.reset();
  known.progress = {9, "former"};
  expect_fatal(known, "deleted and recreated");
}

TEST(DecideResume, RefusesAPositionBeyondTheEndAndAWindowThatIsGone) {
  auto known = facts(0, 9);
  known.committed = CommittedOffset{10, commit_metadata(5, "in", "out")};
  expect_fatal(known, "beyond the end");
  known.range = {6, 20};
  expect_fatal(known, "too late to tell repeats");
}

TEST(CommitMetadata, SaysFromWhereTheLogIsNeeded) {
  EXPECT_EQ(needed_from({10, commit_metadata(5, "in", "out")}), 5);
  EXPECT_EQ(needed_from({10, "by hand"}), 0);
  EXPECT_TRUE(is_own_commit({10, commit_metadata(5, "in", "out")}));
  EXPECT_FALSE(is_own_commit({10, "by hand"}));
}

}  // namespace
}  // namespace millrace::transform
