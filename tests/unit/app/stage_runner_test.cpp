#include "app/wiring/stage_runner.h"

#include <atomic>
#include <stdexcept>

#include <gtest/gtest.h>

namespace millrace::app {
namespace {

using namespace std::chrono_literals;
using base::Deadline;
using base::Result;
using base::StopSignal;

const StageRunnerOptions kQuick{1ms, 5ms, 20ms};

/// The first status of that state; the last one that was seen if none comes.
StageStatus status_of(const StageRunner& runner, StageState state) {
  const Deadline deadline = Deadline::in(20s);
  StageStatus status = runner.status();
  while (status.state != state && !deadline.passed()) {
    StopSignal().wait_for(1ms);
    status = runner.status();
  }
  return status;
}

bool becomes(const StageRunner& runner, StageState state) {
  return status_of(runner, state).state == state;
}

Result<void> until_stop(const StopSignal& stop) {
  while (!stop.wait_for(1s)) {
  }
  return {};
}

TEST(StageRunner, RunsAStageUntilItIsStopped) {
  StageRunner runner("relay", until_stop, nullptr, kQuick);
  EXPECT_TRUE(becomes(runner, StageState::kRunning));
  EXPECT_FALSE(runner.wait_for_end(Deadline::in(0ms)));
  runner.request_stop();
  EXPECT_TRUE(runner.wait_for_end(Deadline::in(20s)));
  EXPECT_EQ(runner.status().state, StageState::kEnded);
}

TEST(StageRunner, TriesAFailedStageAgainUntilItRuns) {
  std::atomic<bool> is_broken = true;
  std::atomic<int> runs = 0;
  StageRunner runner(
      "sink",
      [&](const StopSignal& stop) -> Result<void> {
        ++runs;
        if (is_broken)
          return std::unexpected(base::Error{base::ErrorKind::kFatal, "10.0.0.7 refused shop:secret", 516,
                                             "check clickhouse.password"});
        return until_stop(stop);
      },
      nullptr, kQuick);
  const Deadline deadline = Deadline::in(20s);
  while (runs < 4 && !deadline.passed()) StopSignal().wait_for(1ms);
  const StageStatus failed = status_of(runner, StageState::kFailed);
  EXPECT_EQ(failed.state, StageState::kFailed);
  EXPECT_NE(failed.reason.find("check clickhouse.password"), std::string::npos) << failed.reason;
  EXPECT_EQ(failed.reason.find("secret"), std::string::npos) << failed.reason;
  EXPECT_GE(failed.restarts, 2u);
  is_broken = false;
  EXPECT_TRUE(becomes(runner, StageState::kRunning));
  EXPECT_EQ(runner.status().reason, "");
}

TEST(StageRunner, LeavesAStageThatRefusesUntilItIsToldToTryAgain) {
  std::atomic<int> runs = 0;
  StageRunner runner(
      "sink",
      [&](const StopSignal& stop) -> Result<void> {
        if (++runs < 3) return base::fatal("the position lies beyond the end of the log");
        return until_stop(stop);
      },
      nullptr, kQuick);
  ASSERT_TRUE(becomes(runner, StageState::kFailed));
  EXPECT_EQ(runner.status().reason, "the position lies beyond the end of the log");
  StopSignal().wait_for(100ms);
  EXPECT_EQ(runs, 1) << "it must not go on by itself";
  for (int wanted = 2; wanted <= 3; ++wanted) {
    const Deadline deadline = Deadline::in(20s);
    while (runs < wanted && !deadline.passed()) {
      runner.retry();
      StopSignal().wait_for(5ms);
    }
  }
  EXPECT_TRUE(becomes(runner, StageState::kRunning));
}

TEST(StageRunner, StopsAStageThatRefuses) {
  StageRunner runner(
      "sink", [](const StopSignal&) { return Result<void>(base::fatal("no")); }, nullptr, kQuick);
  ASSERT_TRUE(becomes(runner, StageState::kFailed));
  runner.request_stop();
  EXPECT_TRUE(runner.wait_for_end(Deadline::in(20s)));
}

TEST(StageRunner, TakesAnExceptionForAFailure) {
  std::atomic<int> runs = 0;
  StageRunner runner(
      "transform",
      [&](const StopSignal& stop) -> Result<void> {
        if (++runs == 1) throw std::runtime_error("vector::at");
        if (runs == 2) throw 7;
        return until_stop(stop);
      },
      nullptr, kQuick);
  EXPECT_TRUE(becomes(runner, StageState::kRunning));
  const Deadline deadline = Deadline::in(20s);
  while (runs < 3 && !deadline.passed()) StopSignal().wait_for(1ms);
  EXPECT_EQ(runs, 3);
}

TEST(StageRunner, SaysWhatAStageWaitsFor) {
  base::StageHealth health;
  StageRunner runner("relay", until_stop, &health, kQuick);
  health.set_waiting({base::ErrorKind::kUnavailable, "the order store does not answer", 0});
  EXPECT_TRUE(becomes(runner, StageState::kWaiting));
  EXPECT_EQ(runner.status().reason, "the order store does not answer");
  health.set_running();
  EXPECT_TRUE(becomes(runner, StageState::kRunning));
}

TEST(StageRunner, EndsAStageThatIsDone) {
  StageRunner runner("topics", [](const StopSignal&) { return Result<void>(); }, nullptr, kQuick);
  EXPECT_TRUE(becomes(runner, StageState::kEnded));
}

}  // namespace
}  // namespace millrace::app
