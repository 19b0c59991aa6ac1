#include "warehouse/http/auth_throttle.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace millrace::warehouse {
namespace {

using namespace std::chrono_literals;
using Turn = AuthThrottle::Turn;

const auto kStays = [] { return false; };

TEST(AuthThrottle, HoldsFewAndTurnsTheRestAwayUnseen) {
  AuthThrottle throttle(
      {.free_failures = 3, .hold_min = 1h, .hold_max = 1h, .held_max = 4, .forget_after = 1h});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(throttle.wait("1.2.3.4", kStays), Turn::kLook);
    throttle.failed("1.2.3.4");
  }
  std::atomic<int> looked = 0;
  std::atomic<int> turned_away = 0;
  std::atomic<bool> leave = false;
  std::vector<std::thread> guessers;
  for (int i = 0; i < 40; ++i)
    guessers.emplace_back([&] {
      const Turn turn = throttle.wait("1.2.3.4", [&] { return leave.load(); });
      if (turn == Turn::kLook) ++looked;
      if (turn == Turn::kTooMany) ++turned_away;
    });
  while (turned_away < 36) std::this_thread::yield();
  EXPECT_EQ(looked, 0);
  EXPECT_EQ(throttle.wait("5.6.7.8", kStays), Turn::kLook) << "another address";
  leave = true;
  for (std::thread& one : guessers) one.join();
  EXPECT_EQ(looked, 0);
  EXPECT_EQ(turned_away, 36);
}

TEST(AuthThrottle, AsksAgainAfterTheHoldAndForgets) {
  AuthThrottle throttle(
      {.free_failures = 1, .hold_min = 1ms, .hold_max = 2ms, .held_max = 4, .forget_after = 1h});
  for (int i = 0; i < 40; ++i) throttle.failed("a");
  EXPECT_EQ(throttle.wait("a", kStays), Turn::kLook);
  AuthThrottle forgetful(
      {.free_failures = 1, .hold_min = 1h, .hold_max = 1h, .held_max = 4, .forget_after = 0ms});
  for (int i = 0; i < 40; ++i) forgetful.failed("a");
  EXPECT_EQ(forgetful.wait("a", kStays), Turn::kLook);
}

TEST(AuthThrottle, ManyAddressesShareACount) {
  AuthThrottle throttle({.free_failures = 2,
                         .hold_min = 1h,
                         .hold_max = 1h,
                         .held_max = 0,
                         .forget_after = 1h,
                         .addresses_max = 3});
  for (int i = 0; i < 10; ++i) throttle.failed(std::to_string(i));
  EXPECT_EQ(throttle.wait("1", kStays), Turn::kLook) << "one failure";
  EXPECT_EQ(throttle.wait("8", kStays), Turn::kTooMany) << "of those beyond the bound";
  EXPECT_EQ(throttle.wait("new", kStays), Turn::kTooMany);
}

TEST(AuthThrottle, StopLetsEverybodyGo) {
  AuthThrottle throttle({.free_failures = 0, .hold_min = 1h, .hold_max = 1h, .forget_after = 1h});
  throttle.failed("a");
  std::thread held([&] { EXPECT_EQ(throttle.wait("a", kStays), Turn::kTooMany); });
  throttle.stop();
  held.join();
}

}  // namespace
}  // namespace millrace::warehouse
