#include "app/wiring/delivery_monitor.h"

#include <atomic>

#include <gtest/gtest.h>

#include "adapters/memory/memory_event_log.h"
#include "adapters/system/system_clock.h"
#include "app/wiring/admin_server.h"

namespace millrace::app {
namespace {

using namespace std::chrono_literals;
using base::Deadline;

constexpr const char* kTopic = "order.events";
constexpr const char* kGroup = "order-event-transformer";

class DepthOnly final : public ports::Outbox {
 public:
  base::Result<std::unique_ptr<ports::OutboxLease>> acquire(std::int32_t, Deadline) override {
    return base::unavailable("not asked here");
  }
  base::Result<ports::OutboxDepth> depth(Deadline) override {
    if (!answers) return base::unavailable("away");
    const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                           written_at.load());
    return ports::OutboxDepth{waiting, 0, waiting > 0 ? age : 0ms};
  }
  base::Result<std::size_t> remove_processed(base::UtcTime, std::size_t, Deadline) override { return 0; }

  std::atomic<bool> answers = true;
  std::atomic<std::uint64_t> waiting = 0;
  std::atomic<std::chrono::steady_clock::time_point> written_at = std::chrono::steady_clock::now();
};

class DeliveryMonitorTest : public testing::Test {
 protected:
  DeliveryMonitorTest() { EXPECT_TRUE(log_.ensure_topic(kTopic, 2, soon())); }
  static Deadline soon() { return Deadline::in(20s); }

  void append(std::chrono::milliseconds age) {
    const ports::NewRecord record{"key", "value", {}, clock_.now() - age};
    EXPECT_TRUE(log_.append({kTopic, 1}, std::span(&record, 1), soon()));
  }
  void commit(std::int64_t offset) {
    const auto member = log_.join(kGroup, kTopic, soon());
    ASSERT_TRUE(member);
    const auto assignments = (*member)->assignments(soon());
    for (const auto& assignment : *assignments) {
      if (assignment.partition.partition != 1) continue;
      EXPECT_TRUE((*member)->commit(assignment, {offset, ""}, soon()));
    }
  }
  std::unique_ptr<DeliveryMonitor> start(std::function<bool()> is_paused = {},
                                         std::chrono::milliseconds stall_time = 250ms) {
    return std::make_unique<DeliveryMonitor>(
        &outbox_, &log_, std::vector<LogStage>{{"transform", kGroup, kTopic, std::move(is_paused)}}, clock_,
        DeliveryOptions{1ms, 1s, stall_time});
  }
  template <class Condition>
  static bool comes_true(const DeliveryMonitor& monitor, Condition condition) {
    const Deadline deadline = soon();
    while (!condition(monitor.state()) && !deadline.passed()) base::StopSignal().wait_for(1ms);
    return condition(monitor.state());
  }

  DepthOnly outbox_;
  adapters::memory::MemoryEventLog log_;
  adapters::system::SystemClock clock_;
};

TEST_F(DeliveryMonitorTest, KnowsTheAgeOfTheOldestChangeOfEachStage) {
  append(60s);
  append(1s);
  const auto monitor = start();
  EXPECT_TRUE(comes_true(*monitor, [](const Delivery& state) {
    return state.pending.contains("relay") && state.pending.at("relay") == 0ms &&
           state.pending.contains("transform") && state.pending.at("transform") >= 60s;
  }));
  EXPECT_GE(*monitor->state().oldest(), 60s);
  commit(1);
  EXPECT_TRUE(comes_true(*monitor, [](const Delivery& state) { return *state.oldest() < 50s; }));
  commit(2);
  EXPECT_TRUE(comes_true(*monitor, [](const Delivery& state) { return *state.oldest() == 0ms; }));
}

TEST_F(DeliveryMonitorTest, FindsChangesThatStandStillThoughEverythingAnswers) {
  const auto monitor = start();
  append(0s);
  ASSERT_TRUE(comes_true(*monitor, [](const Delivery& state) { return state.stalled_stage == "transform"; }));
  const api::PipelineReadiness stalled = pipeline_readiness({}, monitor->state());
  EXPECT_FALSE(stalled.runs);
  EXPECT_NE(stalled.delivery.find("transform"), std::string::npos) << stalled.delivery;
  commit(1);
  ASSERT_TRUE(comes_true(*monitor, [](const Delivery& state) { return state.stalled_stage.empty(); }));
  EXPECT_TRUE(pipeline_readiness({}, monitor->state()).runs);
}

TEST_F(DeliveryMonitorTest, DoesNotTakeABacklogThatIsWorkedOffForAStandstill) {
  constexpr int kRecords = 200;
  for (int i = 0; i < kRecords; ++i) append(600s - std::chrono::seconds(i));
  const auto monitor = start({}, 1s);
  std::atomic<bool> was_stalled = false;
  for (int i = 1; i <= kRecords; ++i) {
    commit(i);
    base::StopSignal().wait_for(10ms);
    was_stalled = was_stalled || !monitor->state().stalled_stage.empty();
  }
  EXPECT_FALSE(was_stalled);
}

TEST_F(DeliveryMonitorTest, FindsAnOutboxThatNobodyEmpties) {
  outbox_.waiting = 3;
  const auto monitor = start();
  EXPECT_TRUE(comes_true(*monitor, [](const Delivery& state) { return state.stalled_stage == "relay"; }));
}

TEST_F(DeliveryMonitorTest, LeavesOutWhatAnOperatorHasPausedAndWhatDoesNotAnswer) {
  outbox_.answers = false;
  append(3'600s);
  const auto monitor = start([] { return true; });
  EXPECT_TRUE(
      comes_true(*monitor, [](const Delivery& state) { return state.pending.contains("transform"); }));
  base::StopSignal().wait_for(600ms);
  EXPECT_EQ(monitor->state().stalled_stage, "");
  EXPECT_FALSE(monitor->state().pending.contains("relay"));
}

}  // namespace
}  // namespace millrace::app
