#include "adapters/memory/memory_event_log.h"

#include <gtest/gtest.h>

#include "contract/event_log_contract.h"

namespace millrace::adapters::memory {
namespace {

using base::ErrorKind;
using contract::EventLogContract;

class World final : public contract::EventLogWorld {
 public:
  ports::EventLog& log() override { return log_; }
  ports::LogInspector& inspector() override { return *inspector_; }

 private:
  MemoryEventLog log_{std::size_t{1} << 20u};
  std::unique_ptr<ports::LogInspector> inspector_ = log_.inspector();
};

INSTANTIATE_TEST_SUITE_P(Memory, EventLogContract,
                         testing::Values(contract::EventLogKind{"memory",
                                                                [] { return std::make_unique<World>(); }}),
                         testing::PrintToStringParamName());

base::Deadline soon() {
  return base::Deadline::in(std::chrono::seconds(10));
}

class MemoryEventLogFaults : public testing::Test {
 protected:
  MemoryEventLogFaults() { EXPECT_TRUE(log_.ensure_topic("topic", 1, soon()).has_value()); }
  base::Result<std::int64_t> append(std::size_t count) {
    return log_.append(partition_, std::vector<ports::NewRecord>(count), soon());
  }
  std::int64_t end() { return log_.offsets(partition_, soon())->end; }

  const ports::TopicPartition partition_{"topic", 0};
  MemoryEventLog log_;
};

TEST_F(MemoryEventLogFaults, FailTheChosenCallAndNoOther) {
  log_.faults().set(LogOperation::kAppend, 2, LogFault::kFail);
  EXPECT_TRUE(append(1).has_value());
  EXPECT_EQ(append(1).error().kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(append(1).has_value());
  EXPECT_EQ(end(), 2);
  EXPECT_EQ(log_.faults().calls(LogOperation::kAppend), 3u);
}

TEST_F(MemoryEventLogFaults, LoseTheAnswerOfAnAppendThatWasDone) {
  log_.faults().set(LogOperation::kAppend, 1, LogFault::kLoseAnswer);
  EXPECT_EQ(append(3).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(end(), 3);
}

TEST_F(MemoryEventLogFaults, AppendTheLeadingHalfOfABatch) {
  log_.faults().set(LogOperation::kAppend, 1, LogFault::kDoHalf);
  EXPECT_EQ(append(5).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(end(), 2);
}

TEST_F(MemoryEventLogFaults, CountEveryOperationForAny) {
  const std::uint64_t before = log_.faults().calls(LogOperation::kAny);
  log_.faults().set_for_good(LogOperation::kAny, 2, LogFault::kFail);
  EXPECT_TRUE(append(1).has_value());
  EXPECT_EQ(append(1).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(log_.offsets(partition_, soon()).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(log_.faults().calls(LogOperation::kAny) - before, 3u);
  log_.faults().clear();
  EXPECT_EQ(end(), 1);
}

TEST_F(MemoryEventLogFaults, RefuseACommitAsIfTheAssignmentHadPassedOn) {
  const auto member = *log_.join("group", "topic", soon());
  const auto mine = *member->assignments(soon());
  log_.faults().set(LogOperation::kCommit, 1, LogFault::kConflict);
  EXPECT_EQ(member->commit(mine.at(0), {1, ""}, soon()).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(*log_.committed("group", partition_, soon()), std::nullopt);
  EXPECT_TRUE(member->commit(mine.at(0), {1, ""}, soon()).has_value());
}

TEST_F(MemoryEventLogFaults, LoseTheAnswerOfACommitThatWasDone) {
  const auto member = *log_.join("group", "topic", soon());
  const auto mine = *member->assignments(soon());
  log_.faults().set(LogOperation::kCommit, 1, LogFault::kLoseAnswer);
  EXPECT_EQ(member->commit(mine.at(0), {5, ""}, soon()).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ((*log_.committed("group", partition_, soon()))->offset, 5);
}

TEST_F(MemoryEventLogFaults, PassAssignmentsOnToTheMemberThatWaits) {
  const auto first = *log_.join("group", "topic", soon());
  const auto second = *log_.join("group", "topic", soon());
  const auto old = *first->assignments(soon());
  log_.expire_owner("group", "topic");
  EXPECT_EQ(first->commit(old.at(0), {1, ""}, soon()).error().kind, ErrorKind::kConflict);
  EXPECT_TRUE(first->assignments(soon())->empty());
  EXPECT_GT(second->assignments(soon())->at(0).generation, old.at(0).generation);
}

TEST_F(MemoryEventLogFaults, RecreateATopicUnderAnotherId) {
  ASSERT_TRUE(append(3).has_value());
  const std::string before = log_.describe_topic("topic", soon())->topic_id;
  log_.recreate_topic("topic");
  EXPECT_NE(log_.describe_topic("topic", soon())->topic_id, before);
  EXPECT_EQ(end(), 0);
  EXPECT_EQ(log_.read(partition_, 3, {1, 1}, soon()).error().kind, ErrorKind::kInvalid);
}

TEST(MemoryEventLog, LetsAMemberLeaveAfterTheLogIsGone) {
  std::unique_ptr<ports::GroupMember> member;
  {
    MemoryEventLog log;
    ASSERT_TRUE(log.ensure_topic("topic", 1, soon()).has_value());
    member = *log.join("group", "topic", soon());
  }
  member.reset();
}

}  // namespace
}  // namespace millrace::adapters::memory
