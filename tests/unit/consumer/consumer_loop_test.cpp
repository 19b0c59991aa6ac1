#include "consumer/consumer_loop.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
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

/// Writes down what it is asked to do; each step does what the test says, and the stop ends the run.
class RecordingStage final : public Stage {
 public:
  std::function<base::Result<bool>(int step)> on_step = [](int) { return base::Result<bool>(true); };
  std::optional<base::Error> topic_error;  // of the next check of the topics
  std::string expected_error;
  std::vector<std::string> calls;
  std::uint64_t done = 0;
  int steps = 0;

  base::Result<void> reset() override {
    calls.emplace_back("reset");
    return {};
  }
  base::Result<void> check_topics(base::Deadline) override {
    if (auto error = std::exchange(topic_error, std::nullopt)) return std::unexpected(*error);
    return {};
  }
  base::Result<void> open(const ports::Assignment& assignment) override {
    calls.push_back("open " + std::to_string(assignment.partition.partition));
    return {};
  }
  void close(const ports::TopicPartition& partition) override {
    calls.push_back("close " + std::to_string(partition.partition));
  }
  base::Result<bool> step(ports::GroupMember&, const base::StopSignal&) override { return on_step(++steps); }
  base::Result<void> finish(ports::GroupMember&) override {
    calls.emplace_back("finish");
    return {};
  }
  std::uint64_t work_done() const override { return done; }
  bool is_expected(const base::Error& error) override { return error.message == expected_error; }
};

class ConsumerLoopTest : public testing::Test {
 protected:
  ConsumerLoopTest() {
    EXPECT_TRUE(log_.ensure_topic("topic", 2, soon()));
    options_.stage = "stage";
    options_.resumes_from = "its position";
    options_.group = "group";
    options_.topic = "topic";
    options_.idle_wait = milliseconds(1);
  }
  base::Result<void> run() { return ConsumerLoop(log_, stage_, stats_, options_).run(stop_); }

  adapters::memory::MemoryEventLog log_;
  RecordingStage stage_;
  LoopStats stats_;
  LoopOptions options_;
  base::StopSignal stop_;
};

TEST_F(ConsumerLoopTest, OpensWhatItIsAssignedStepsAndFinishes) {
  stage_.on_step = [&](int step) {
    if (step == 3) stop_.request();
    return base::Result<bool>(true);
  };
  EXPECT_TRUE(run());
  EXPECT_EQ(stage_.calls, (std::vector<std::string>{"reset", "open 0", "open 1", "finish"}));
  EXPECT_EQ(stage_.steps, 3);
  EXPECT_EQ(stats_.partitions, 2U);
  EXPECT_EQ(stats_.restarts, 0U);
}

TEST_F(ConsumerLoopTest, BeginsAgainAfterAnErrorAndSaysWhatItWaitsFor) {
  std::optional<std::string> waiting_for;
  stage_.on_step = [&](int step) -> base::Result<bool> {
    if (step == 1) return base::unavailable("the warehouse is away");
    if (step == 2) {
      waiting_for = stats_.health.waiting_for();
    } else {
      stop_.request();
    }
    return true;
  };
  EXPECT_TRUE(run());
  EXPECT_EQ(stage_.calls,
            (std::vector<std::string>{"reset", "open 0", "open 1", "reset", "open 0", "open 1", "finish"}));
  EXPECT_EQ(stats_.restarts, 1U);
  EXPECT_TRUE(waiting_for);
  EXPECT_FALSE(stats_.health.waiting_for()) << "a step went through";
}

TEST_F(ConsumerLoopTest, IsNotWaitingAfterAnErrorThatIsPartOfItsWork) {
  stage_.expected_error = "another generation";
  bool waited = false;
  stage_.on_step = [&](int step) -> base::Result<bool> {
    if (step == 1) return base::rejected("another generation");
    waited = stats_.health.waiting_for().has_value();
    stop_.request();
    return true;
  };
  EXPECT_TRUE(run());
  EXPECT_FALSE(waited);
  EXPECT_EQ(stats_.restarts, 1U);
}

TEST_F(ConsumerLoopTest, EndsWithAFatalError) {
  stage_.on_step = [](int) -> base::Result<bool> { return base::fatal("rows are missing"); };
  const auto ended = run();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().message, "rows are missing");
  EXPECT_EQ(stage_.calls.back(), "open 1") << "nothing is made durable behind a fatal error";
}

TEST_F(ConsumerLoopTest, OpensAPartitionAgainThatItGetsAgain) {
  stage_.on_step = [&](int step) {
    if (step == 1) log_.expire_owner("group", "topic");
    if (step == 2) stop_.request();
    return base::Result<bool>(true);
  };
  EXPECT_TRUE(run());
  EXPECT_EQ(stage_.calls, (std::vector<std::string>{"reset", "open 0", "open 1", "close 0", "close 1",
                                                    "open 0", "open 1", "finish"}));
}

TEST_F(ConsumerLoopTest, GoesOnWhileTheTopicsCannotBeLookedUp) {
  options_.topic_check_interval = milliseconds(0);
  bool waited = false;
  stage_.on_step = [&](int step) {
    if (step == 1) stage_.topic_error = base::unavailable("no broker answers").error();
    if (step == 2) {
      waited = stats_.health.waiting_for().has_value();
      stop_.request();
    }
    return base::Result<bool>(false);
  };
  EXPECT_TRUE(run());
  EXPECT_TRUE(waited);
  EXPECT_EQ(stage_.calls, (std::vector<std::string>{"reset", "open 0", "open 1", "finish"}));
}

TEST_F(ConsumerLoopTest, BeginsAgainWhenATopicWasRecreated) {
  options_.topic_check_interval = milliseconds(0);
  stage_.on_step = [&](int step) {
    if (step == 1) stage_.topic_error = base::conflict("topic was deleted and recreated").error();
    if (step == 2) stop_.request();
    return base::Result<bool>(true);
  };
  EXPECT_TRUE(run());
  EXPECT_EQ(std::ranges::count(stage_.calls, "reset"), 2);
}

TEST_F(ConsumerLoopTest, WaitsOutALogThatRefusesToLetItJoin) {
  log_.faults().set(LogOperation::kJoin, 1, LogFault::kFail, 2);
  stage_.on_step = [&](int) {
    stop_.request();
    return base::Result<bool>(true);
  };
  EXPECT_TRUE(run());
  EXPECT_EQ(stats_.restarts, 2U);
}

}  // namespace
}  // namespace millrace::consumer
