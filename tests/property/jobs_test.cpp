// The desk and the runner over a store in memory.
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "jobs/job_service.h"
#include "jobs/runner.h"

namespace millrace::jobs {
namespace {

using namespace std::chrono_literals;
using ports::Job;
using ports::JobState;

base::Deadline soon() {
  return base::Deadline::in(20s);
}

/// One job at a time, as in the table; the lease can be taken away.
class MemoryJobs final : public ports::JobStore {
 public:
  base::Result<Job> submit(const std::string& kind, const std::string& parameters, base::Deadline) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, job] : jobs_)
      if (job.state == JobState::kRunning) return base::conflict("one is running");
    Job job;
    job.id = jobs_.size() + 1;
    job.kind = kind;
    job.parameters = parameters;
    jobs_[job.id] = job;
    return job;
  }
  base::Result<Job> job(std::uint64_t id, base::Deadline) override {
    const std::lock_guard lock(mutex_);
    if (!jobs_.contains(id)) return base::not_found("no such job");
    return jobs_[id];
  }
  base::Result<std::vector<Job>> jobs(std::size_t, base::Deadline) override {
    const std::lock_guard lock(mutex_);
    std::vector<Job> all;
    for (const auto& [id, job] : jobs_) all.insert(all.begin(), job);
    return all;
  }
  base::Result<Job> request_cancel(std::uint64_t id, base::Deadline) override {
    const std::lock_guard lock(mutex_);
    jobs_[id].cancel_requested = true;
    return jobs_[id];
  }
  base::Result<std::unique_ptr<ports::JobLease>> acquire(base::Deadline) override {
    const std::lock_guard lock(mutex_);
    return std::make_unique<Lease>(*this, ++leases_);
  }

  void take_the_lease_away() {
    const std::lock_guard lock(mutex_);
    ++leases_;
  }
  JobState state(std::uint64_t id) { return job(id, soon())->state; }

 private:
  class Lease final : public ports::JobLease {
   public:
    Lease(MemoryJobs& jobs, int number) : jobs_(jobs), number_(number) {}
    base::Result<std::optional<Job>> running(base::Deadline) override {
      const std::lock_guard lock(jobs_.mutex_);
      if (number_ != jobs_.leases_) return base::conflict("lost");
      for (const auto& [id, job] : jobs_.jobs_)
        if (job.state == JobState::kRunning) return job;
      return std::optional<Job>();
    }
    base::Result<void> save(std::uint64_t id, const std::string& checkpoint, base::Deadline) override {
      return change(id, [&](Job& job) { job.checkpoint = checkpoint; });
    }
    base::Result<bool> report(std::uint64_t id, const std::string& progress, base::Deadline) override {
      MILLRACE_TRY(change(id, [&](Job& job) { job.progress = progress; }));
      const std::lock_guard lock(jobs_.mutex_);
      return jobs_.jobs_[id].cancel_requested;
    }
    base::Result<void> finish(std::uint64_t id, JobState state, const std::string& progress,
                              const std::string& error, base::Deadline) override {
      return change(id, [&](Job& job) {
        job.state = state;
        job.progress = progress;
        job.error = error;
      });
    }

   private:
    template <class Change>
    base::Result<void> change(std::uint64_t id, Change apply) {
      const std::lock_guard lock(jobs_.mutex_);
      if (number_ != jobs_.leases_) return base::conflict("lost");
      if (jobs_.jobs_[id].state != JobState::kRunning) return base::conflict("has ended");
      apply(jobs_.jobs_[id]);
      return {};
    }
    MemoryJobs& jobs_;
    const int number_;
  };

  std::mutex mutex_;
  std::map<std::uint64_t, Job> jobs_;  // guarded by mutex_
  int leases_ = 0;                     // guarded by mutex_
};

/// Counts to `steps`, noting each; fails as it is told.
class Counting final : public Handler {
 public:
  base::Result<std::string> run(const Job&, Attempt& attempt) override {
    ++attempts;
    int count = attempt.checkpoint().empty() ? 0 : std::stoi(attempt.checkpoint());
    while (count < steps) {
      if (count == wait_at && attempt.stop().wait_for(20s)) return base::unavailable("asked to stop");
      if (failures_at[count] > 0 && failures_at[count]-- > 0) return std::unexpected(error);
      ++count;
      attempt.set_progress("at " + std::to_string(count));
      MILLRACE_TRY(attempt.save(std::to_string(count)));
    }
    return "counted to " + std::to_string(count);
  }
  base::Result<bool> cancel(const Job&, Attempt&) override {
    ++cancels;
    if (!may_cancel) wait_at = -1;
    return may_cancel;
  }

  int steps = 5;
  std::atomic<int> wait_at = -1;
  std::map<int, int> failures_at;
  base::Error error{base::ErrorKind::kUnavailable, "away", 0};
  bool may_cancel = true;
  std::atomic<int> attempts = 0;
  std::atomic<int> cancels = 0;
};

class RunnerTest : public testing::Test {
 protected:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }
  void TearDown() override { end(); }

  void begin() {
    stop_ = std::make_unique<base::StopSignal>();
    thread_ = std::thread([this] { EXPECT_TRUE(runner_.run(*stop_)); });
  }
  void end() {
    if (!thread_.joinable()) return;
    stop_->request();
    runner_.wake();
    thread_.join();
  }
  template <class Condition>
  static bool soon_true(Condition condition) {
    const auto deadline = soon();
    while (!condition() && !deadline.passed()) std::this_thread::sleep_for(1ms);
    return condition();
  }

  MemoryJobs store_;
  Counting counting_;
  Runner runner_{store_,
                 {{"count", &counting_}},
                 {.poll_interval = 5ms, .report_interval = 1ms, .pause_first = 1ms, .pause_longest = 5ms}};
  std::unique_ptr<base::StopSignal> stop_;
  std::thread thread_;
};

TEST_F(RunnerTest, CarriesAJobOutOverOutages) {
  counting_.failures_at = {{0, 2}, {3, 2}};
  ASSERT_TRUE(store_.submit("count", "{}", soon()));
  begin();
  ASSERT_TRUE(soon_true([&] { return store_.state(1) == JobState::kDone; }));
  EXPECT_EQ(store_.job(1, soon())->progress, "counted to 5");
  EXPECT_EQ(counting_.attempts, 5);
}

TEST_F(RunnerTest, KeepsNothingOfWhatAServerSaidInAJobsError) {
  counting_.failures_at = {{2, 1}};
  counting_.error = {base::ErrorKind::kInvalid, "the warehouse at http://wh7:8123: SELECT secret", 62};
  begin();
  ASSERT_TRUE(store_.submit("count", "{}", soon()));
  ASSERT_TRUE(soon_true([&] { return store_.state(1) == JobState::kFailed; }));
  const std::string error = store_.job(1, soon())->error;
  for (const char* part : {"wh7", "SELECT", "secret"})
    EXPECT_EQ(error.find(part), std::string::npos) << error;
  EXPECT_NE(error.find("code 62"), std::string::npos) << error;
}

TEST_F(RunnerTest, EndsAJobThatCannotSucceedWithTheReason) {
  counting_.failures_at = {{2, 1}};
  counting_.error = {base::ErrorKind::kInvalid, "no such partition", 0};
  begin();
  ASSERT_TRUE(store_.submit("count", "{}", soon()));
  ASSERT_TRUE(soon_true([&] { return store_.state(1) == JobState::kFailed; }));
  EXPECT_EQ(store_.job(1, soon())->error, "no such partition");
  EXPECT_EQ(counting_.attempts, 1);
}

TEST_F(RunnerTest, LeavesAJobRunningWhenTheProcessStopsAndGoesOnAtTheNextStart) {
  counting_.wait_at = 3;
  ASSERT_TRUE(store_.submit("count", "{}", soon()));
  begin();
  ASSERT_TRUE(soon_true([&] { return store_.job(1, soon())->checkpoint == "3"; }));
  end();
  EXPECT_EQ(store_.state(1), JobState::kRunning);
  counting_.wait_at = -1;
  begin();
  ASSERT_TRUE(soon_true([&] { return store_.state(1) == JobState::kDone; }));
  EXPECT_EQ(counting_.attempts, 2);
}

TEST_F(RunnerTest, CancelsAJob) {
  counting_.wait_at = 2;
  ASSERT_TRUE(store_.submit("count", "{}", soon()));
  begin();
  ASSERT_TRUE(soon_true([&] { return store_.job(1, soon())->checkpoint == "2"; }));
  ASSERT_TRUE(store_.request_cancel(1, soon()));
  ASSERT_TRUE(soon_true([&] { return store_.state(1) == JobState::kCancelled; }));
  EXPECT_EQ(counting_.cancels, 1);
}

TEST_F(RunnerTest, CarriesAJobToItsEndWhenItIsTooLateToCancelIt) {
  counting_.wait_at = 2;
  counting_.may_cancel = false;
  ASSERT_TRUE(store_.submit("count", "{}", soon()));
  ASSERT_TRUE(store_.request_cancel(1, soon()));
  begin();
  ASSERT_TRUE(soon_true([&] { return store_.state(1) == JobState::kDone; }));
  EXPECT_EQ(counting_.cancels, 1);
}

TEST_F(RunnerTest, WritesNothingAfterItsRightIsGoneAndGoesOnWhenItHasItAgain) {
  counting_.wait_at = 2;
  ASSERT_TRUE(store_.submit("count", "{}", soon()));
  begin();
  ASSERT_TRUE(soon_true([&] { return store_.job(1, soon())->checkpoint == "2"; }));
  counting_.steps = 4;
  store_.take_the_lease_away();
  ASSERT_TRUE(soon_true([&] { return counting_.attempts >= 2; }));
  EXPECT_EQ(store_.state(1), JobState::kRunning);
  EXPECT_EQ(store_.job(1, soon())->checkpoint, "2");
  end();
  counting_.wait_at = -1;
  begin();
  ASSERT_TRUE(soon_true([&] { return store_.state(1) == JobState::kDone; }));
}

TEST_F(RunnerTest, FailsAJobOfAKindThatItDoesNotKnow) {
  begin();
  ASSERT_TRUE(store_.submit("dance", "{}", soon()));
  ASSERT_TRUE(soon_true([&] { return store_.state(1) == JobState::kFailed; }));
  EXPECT_NE(store_.job(1, soon())->error.find("'dance'"), std::string::npos);
}

TEST(JobService, TakesWhatItsKindUnderstands) {
  MemoryJobs store;
  int submitted = 0;
  JobService service(store,
                     {{"count",
                       [](const boost::json::object& request) -> base::Result<std::string> {
                         if (request.contains("to")) return std::string(R"({"to":5})");
                         return base::invalid("'to' is missing");
                       }}},
                     [&] { ++submitted; });
  for (const char* body :
       {"", "x", "[]", "{}", R"({"kind":1})", R"({"kind":"dance"})", R"({"kind":"count"})"})
    EXPECT_EQ(service.submit(body, soon()).error().kind, base::ErrorKind::kInvalid) << body;
  EXPECT_EQ(submitted, 0);
  const auto job = service.submit(R"({"kind":"count","to":5,"more":true})", soon());
  ASSERT_TRUE(job) << job.error().message;
  EXPECT_EQ(job->parameters, R"({"to":5})");
  EXPECT_EQ(submitted, 1);
  EXPECT_EQ(service.submit(R"({"kind":"count","to":5})", soon()).error().kind, base::ErrorKind::kConflict);
}

}  // namespace
}  // namespace millrace::jobs
