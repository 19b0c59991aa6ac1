#include "adapters/mysql/mysql_job_store.h"

#include <thread>

#include <gtest/gtest.h>

#include "support/mariadb_fixture.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;
using ports::JobState;

base::Deadline soon() {
  return base::Deadline::in(10s);
}

class MysqlJobStoreTest : public testing::Test {
 protected:
  support::TestDatabase database_;
  adapters::mysql::MysqlJobStore jobs_{database_.address()};
};

TEST_F(MysqlJobStoreTest, LetsOneJobRunAtATime) {
  const auto first = jobs_.submit("rebuild", "{}", soon());
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->state, JobState::kRunning);
  EXPECT_EQ(first->checkpoint, "");
  const auto second = jobs_.submit("replay", "{}", soon());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
  EXPECT_NE(second.error().message.find("job 1 (rebuild) is running"), std::string::npos);

  const auto lease = jobs_.acquire(soon());
  ASSERT_TRUE(lease) << lease.error().message;
  ASSERT_TRUE((*lease)->finish(first->id, JobState::kDone, "all of it", "", soon()));
  EXPECT_TRUE(jobs_.submit("replay", "{}", soon()));
  const auto listed = jobs_.jobs(10, soon());
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ((*listed)[0].kind, "replay");
  EXPECT_EQ((*listed)[1].progress, "all of it");
  EXPECT_TRUE((*listed)[1].finished_at);
}

TEST_F(MysqlJobStoreTest, KeepsACheckpointForWhoeverCarriesTheJobOutNext) {
  const auto job = jobs_.submit("rebuild", R"({"a":1})", soon());
  ASSERT_TRUE(job);
  {
    const auto lease = jobs_.acquire(soon());
    ASSERT_TRUE(lease);
    const auto other = jobs_.acquire(soon());
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().kind, ErrorKind::kConflict);
    ASSERT_TRUE((*lease)->save(job->id, R"({"phase":"snapshot"})", soon()));
  }
  // The server frees the lock when it notices that the connection is closed.
  auto lease = jobs_.acquire(soon());
  for (const auto deadline = soon(); !lease && !deadline.passed();) {
    std::this_thread::sleep_for(10ms);
    lease = jobs_.acquire(soon());
  }
  ASSERT_TRUE(lease) << lease.error().message;
  const auto running = (*lease)->running(soon());
  ASSERT_TRUE(running && *running);
  EXPECT_EQ((*running)->checkpoint, R"({"phase":"snapshot"})");
  EXPECT_EQ((*running)->parameters, R"({"a":1})");
}

TEST_F(MysqlJobStoreTest, TellsWhoCarriesAJobOutThatItIsToBeCancelled) {
  const auto job = jobs_.submit("rebuild", "{}", soon());
  ASSERT_TRUE(job);
  const auto lease = jobs_.acquire(soon());
  ASSERT_TRUE(lease);
  EXPECT_EQ((*lease)->report(job->id, "half", soon()), false);
  ASSERT_TRUE(jobs_.request_cancel(job->id, soon()));
  EXPECT_EQ((*lease)->report(job->id, "half", soon()), true);
  ASSERT_TRUE((*lease)->finish(job->id, JobState::kCancelled, "half", "", soon()));
  EXPECT_EQ(jobs_.request_cancel(job->id, soon()).error().kind, ErrorKind::kConflict);
  EXPECT_EQ((*lease)->save(job->id, "{}", soon()).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(jobs_.request_cancel(99, soon()).error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace millrace
