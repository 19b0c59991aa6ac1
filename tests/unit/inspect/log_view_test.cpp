#include "inspect/log_view.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "adapters/memory/memory_event_log.h"

namespace millrace::inspect {
namespace {

using base::Deadline;
using base::ErrorKind;

class StoppedClock final : public ports::Clock {
 public:
  [[nodiscard]] base::UtcTime now() const override { return base::utc_from_ms(1'700'000'000'000); }
};

/// Counts questions; each waits until the test lets it go on.
class SlowInspector final : public ports::LogInspector {
 public:
  base::Result<ports::ClusterState> cluster(Deadline deadline) override {
    ++questions;
    if (!go_on.wait_for(deadline.left())) return base::unavailable("no broker");
    return ports::ClusterState{.id = "cluster", .brokers = {}};
  }
  base::Result<std::vector<ports::TopicState>> topics(Deadline) override {
    ++questions;
    return base::unavailable("no broker");
  }
  base::Result<ports::TopicState> topic(const std::string& name, Deadline) override {
    ++questions;
    ports::TopicState state;
    state.info.topic = name;
    return state;
  }
  base::Result<std::vector<ports::GroupState>> groups(Deadline) override {
    return std::vector<ports::GroupState>{
        {.group = "group", .state = "Empty", .members = {}, .partitions = {}}};
  }
  base::Result<ports::GroupState> group(const std::string&, Deadline) override {
    return base::not_found("nobody asks");
  }

  std::atomic<int> questions = 0;
  base::StopSignal go_on;
};

class View : public testing::Test {
 protected:
  static Deadline soon() { return Deadline::in(std::chrono::seconds(20)); }

  adapters::memory::MemoryEventLog log_;
  SlowInspector inspector_;
  StoppedClock clock_;
  LogView view_{"embedded",
                log_,
                inspector_,
                clock_,
                {.kept_for = std::chrono::hours(1), .sample_interval = std::chrono::milliseconds(5)}};
};

TEST_F(View, PutsOneQuestionForAllWhoAskAtOnce) {
  std::vector<std::thread> askers;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 8; ++i)
    askers.emplace_back([&] {
      if (const auto found = view_.cluster(soon()); found && (*found)->id == "cluster") ++answered;
    });
  while (inspector_.questions == 0) std::this_thread::yield();
  inspector_.go_on.request();
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(answered, 8);
  EXPECT_EQ(inspector_.questions, 1);
}

TEST_F(View, GivesAFailureAgainWithoutAsking) {
  for (int i = 0; i < 3; ++i) {
    const auto found = view_.topics(soon());
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().kind, ErrorKind::kUnavailable);
  }
  EXPECT_EQ(inspector_.questions, 1);
}

TEST_F(View, DoesNotWaitLongerThanItsOwnDeadlineForAnotherWhoAsks) {
  std::thread patient([&] { EXPECT_TRUE(view_.cluster(soon()).has_value()); });
  while (inspector_.questions == 0) std::this_thread::yield();
  const auto found = view_.cluster(Deadline::in(std::chrono::milliseconds(20)));
  EXPECT_FALSE(found.has_value());
  inspector_.go_on.request();
  patient.join();
}

TEST_F(View, KeepsTheAnswersOfABoundedNumberOfTopics) {
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(view_.topic(std::to_string(i), soon()).has_value());
  EXPECT_EQ(inspector_.questions, 1'000);
  EXPECT_TRUE(view_.topic("999", soon()).has_value());
  EXPECT_EQ(inspector_.questions, 1'000);
}

TEST_F(View, FindsAGroupAmongAllAndSamplesItsLag) {
  EXPECT_TRUE(view_.group("group", soon()).has_value());
  EXPECT_EQ(view_.group("other", soon()).error().kind, ErrorKind::kNotFound);
  const Deadline deadline = soon();
  while (view_.trend("group").samples.empty() && !deadline.passed()) std::this_thread::yield();
  EXPECT_FALSE(view_.trend("group").samples.empty());
}

TEST_F(View, SaysWhetherATopicWasMade) {
  EXPECT_EQ(view_.create_topic("new", 2, soon()), true);
  EXPECT_EQ(view_.create_topic("new", 2, soon()), false);
  EXPECT_EQ(view_.create_topic("new", 3, soon()).error().kind, ErrorKind::kConflict);
}

}  // namespace
}  // namespace millrace::inspect
