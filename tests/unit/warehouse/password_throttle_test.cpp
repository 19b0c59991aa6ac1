#include "warehouse/password_throttle.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace millrace::warehouse {
namespace {

using namespace std::chrono_literals;

constexpr auto kNever = std::chrono::hours(1);

void fail(PasswordThrottle& throttle, const std::string& address, int times) {
  for (int i = 0; i < times; ++i) {
    PasswordThrottle::Check check(throttle, address);
    ASSERT_TRUE(check.admitted());
    check.failed();
  }
}

TEST(PasswordThrottle, ChecksWithoutLimitWhoeverHasNotFailed) {
  PasswordThrottle throttle({.checks_max = 1, .waiting_max = 0});
  std::vector<std::unique_ptr<PasswordThrottle::Check>> checks;
  for (int i = 0; i < 100; ++i) {
    checks.push_back(std::make_unique<PasswordThrottle::Check>(throttle, "a"));
    EXPECT_TRUE(checks.back()->admitted());
  }
}

TEST(PasswordThrottle, KeepsItsFewChecksBusyWithEachWrongPassword) {
  PasswordThrottle throttle(
      {.free_failures = 2, .checks_max = 2, .waiting_max = 0, .delay_min = kNever, .delay_max = kNever});
  fail(throttle, "a", 2);
  std::atomic<int> in_delay = 0;
  std::vector<std::thread> guessing;
  for (int i = 0; i < 2; ++i)
    guessing.emplace_back([&] {
      PasswordThrottle::Check check(throttle, "a");
      ++in_delay;
      check.failed();
    });
  while (in_delay < 2) std::this_thread::yield();
  for (int i = 0; i < 50; ++i) {
    const PasswordThrottle::Check refused(throttle, "a");
    EXPECT_FALSE(refused.admitted());
  }
  // Others are not concerned.
  EXPECT_TRUE(PasswordThrottle::Check(throttle, "b").admitted());
  throttle.stop();
  for (std::thread& thread : guessing) thread.join();
}

TEST(PasswordThrottle, LetsAsManyWaitAsItIsTold) {
  PasswordThrottle throttle({.free_failures = 0,
                             .checks_max = 1,
                             .waiting_max = 1,
                             .wait = kNever,
                             .delay_min = kNever,
                             .delay_max = kNever});
  fail(throttle, "b", 0);
  std::atomic<bool> busy = false;
  std::thread guessing([&] {
    PasswordThrottle::Check check(throttle, "a");
    busy = true;
    check.failed();
  });
  while (!busy) std::this_thread::yield();
  std::atomic<int> refused = 0;
  std::vector<std::thread> waiting;
  for (int i = 0; i < 5; ++i)
    waiting.emplace_back([&] {
      if (!PasswordThrottle::Check(throttle, "a").admitted()) ++refused;
    });
  while (refused < 4) std::this_thread::yield();
  throttle.stop();
  for (std::thread& thread : waiting) thread.join();
  guessing.join();
  EXPECT_EQ(refused, 5);
}

TEST(PasswordThrottle, ForgetsOldFailuresAndTooManyAddresses) {
  PasswordThrottle forgetful({.free_failures = 1,
                              .checks_max = 0,
                              .waiting_max = 0,
                              .delay_min = 0ms,
                              .delay_max = 0ms,
                              .forget = 0ms});
  fail(forgetful, "a", 1);
  std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(PasswordThrottle::Check(forgetful, "a").admitted());

  PasswordThrottle full({.free_failures = 1,
                         .checks_max = 0,
                         .waiting_max = 0,
                         .delay_min = 0ms,
                         .delay_max = 0ms,
                         .addresses_max = 2});
  for (const char* address : {"a", "b", "c"}) fail(full, address, 1);
  EXPECT_FALSE(PasswordThrottle::Check(full, "c").admitted());
  EXPECT_TRUE(PasswordThrottle::Check(full, "a").admitted());
}

}  // namespace
}  // namespace millrace::warehouse
