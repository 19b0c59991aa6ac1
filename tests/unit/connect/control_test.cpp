#include "connect/control.h"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

namespace millrace::connect {
namespace {

using namespace std::chrono_literals;

class MemoryRegistry : public Registry {
 public:
  base::Result<Connector> read(base::Deadline) override {
    const std::lock_guard lock(mutex_);
    return connector_;
  }
  base::Result<void> write(const Connector& connector, base::Deadline) override {
    const std::lock_guard lock(mutex_);
    connector_ = connector;
    return {};
  }

 private:
  std::mutex mutex_;
  Connector connector_;
};

/// A sink that counts its turns.
class ControlTest : public testing::Test {
 protected:
  ~ControlTest() override {
    control_.stop();
    if (run_.valid()) run_.wait();
  }
  void begin() {
    run_ = std::async(std::launch::async, [this] {
      return control_.run([this](const base::StopSignal& stop) -> base::Result<void> {
        ++turns_;
        while (!stop.wait_for(1s)) {
        }
        ++ends_;
        return {};
      });
    });
  }
  static bool eventually(const std::function<bool()>& condition) {
    const auto deadline = base::Deadline::in(20s);
    while (!condition() && !deadline.passed()) std::this_thread::yield();
    return condition();
  }

  MemoryRegistry registry_;
  Control control_{registry_, {.poll_interval = 5ms}};
  std::atomic<int> turns_ = 0;
  std::atomic<int> ends_ = 0;
  std::future<base::Result<void>> run_;
};

TEST_F(ControlTest, LetsTheSinkRestWhilePausedAndGoOnWhenResumed) {
  begin();
  ASSERT_TRUE(eventually([&] { return turns_ == 1; }));
  EXPECT_TRUE(control_.task().is_running);

  ASSERT_TRUE(control_.set_target(TargetState::kPaused));
  ASSERT_TRUE(eventually([&] { return ends_ == 1; }));
  EXPECT_TRUE(eventually([&] { return !control_.task().is_running; }));
  ASSERT_TRUE(control_.set_target(TargetState::kRunning));
  ASSERT_TRUE(eventually([&] { return turns_ == 2; }));

  control_.stop();
  EXPECT_TRUE(run_.get());
  EXPECT_EQ(turns_, 2);
}

TEST_F(ControlTest, RestartsTheSinkOnceForEachRestart) {
  begin();
  ASSERT_TRUE(eventually([&] { return turns_ == 1; }));
  for (int restart = 1; restart <= 3; ++restart) {
    ASSERT_TRUE(control_.restart());
    ASSERT_TRUE(eventually([&] { return turns_ == restart + 1; }));
  }
  EXPECT_EQ(ends_, 3);
}

TEST_F(ControlTest, FollowsWhatAnotherSinkWasTold) {
  Control other(registry_, {.poll_interval = 5ms});
  begin();
  ASSERT_TRUE(eventually([&] { return turns_ == 1; }));
  ASSERT_TRUE(other.set_target(TargetState::kDeleted));
  ASSERT_TRUE(eventually([&] { return ends_ == 1 && control_.rests(); }));
  ASSERT_TRUE(other.put({{"topics", "orders_analytics"}}, false));
  EXPECT_TRUE(eventually([&] { return turns_ == 2; }));
}

TEST_F(ControlTest, RunsNothingWhereTheConnectorWasDeletedBefore) {
  ASSERT_TRUE(control_.set_target(TargetState::kDeleted));
  begin();
  EXPECT_EQ(control_.set_target(TargetState::kRunning).error().kind, base::ErrorKind::kNotFound)
      << "there is nothing to resume";
  control_.stop();
  EXPECT_TRUE(run_.get());
  EXPECT_EQ(turns_, 0);
}

TEST_F(ControlTest, EndsWithTheSinksOwnErrorAndShowsIt) {
  const auto ended = control_.run([](const base::StopSignal&) -> base::Result<void> {
    return base::fatal("the position lies beyond the log's end");
  });

  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind, base::ErrorKind::kFatal);
  EXPECT_EQ(control_.task().failure, "the position lies beyond the log's end");
  EXPECT_FALSE(control_.task().is_running);
}

TEST_F(ControlTest, ShowsNothingOfWhatAServerSaid) {
  const auto ended = control_.run([](const base::StopSignal&) -> base::Result<void> {
    return base::fatal("the warehouse at http://wh7:8123 answered 403: DB::Exception", 516);
  });

  ASSERT_FALSE(ended);
  EXPECT_NE(ended.error().message.find("wh7"), std::string::npos) << "for the log";
  EXPECT_EQ(control_.task().failure.find("wh7"), std::string::npos) << control_.task().failure;
  EXPECT_NE(control_.task().failure.find("516"), std::string::npos) << control_.task().failure;
}

}  // namespace
}  // namespace millrace::connect
