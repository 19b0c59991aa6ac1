#include "warehouse/http/places.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace millrace::warehouse {
namespace {

using namespace std::chrono_literals;

constexpr Places::Options kOptions{
    .running_max = 2, .open_max = 4, .wait = 10s, .resume_wait = 10s, .grace = 0ms};
constexpr Places::Options kImpatient{
    .running_max = 2, .open_max = 4, .wait = 0ms, .resume_wait = 0ms, .grace = 0ms};

TEST(Places, BoundsThoseThatWorkInTheEngine) {
  Places places(kImpatient);
  auto first = places.take();
  auto second = places.take();
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(places.take());
  second.reset();
  EXPECT_TRUE(places.take());
}

TEST(Places, WhoWaitsForItsClientHoldsNobodyUp) {
  Places places(kOptions);
  auto first = places.take();
  auto second = places.take();
  first->begin();
  second->begin();
  auto third = places.take();
  ASSERT_TRUE(third);
  EXPECT_TRUE(first->end(10));
  // Two work, one waits; when it comes back it waits for one of them.
  std::atomic<bool> is_back = false;
  std::thread resuming([&] {
    EXPECT_TRUE(second->end(10));
    is_back = true;
  });
  EXPECT_FALSE(is_back);
  third.reset();
  resuming.join();
  EXPECT_TRUE(is_back);
}

TEST(Places, TheSlowestGivesWayWhenTooManyAreOpen) {
  Places places(kOptions);
  std::vector<std::unique_ptr<Places::Place>> open;
  for (std::uint64_t i = 0; i < 4; ++i) {
    open.push_back(places.take());
    ASSERT_TRUE(open.back());
    open.back()->begin();
    // The third has moved the least.
    EXPECT_TRUE(open.back()->end(i == 2 ? 1 : 1'000'000'000));
    open.back()->begin();
  }
  std::thread slowest([&] {
    while (!open[2]->has_to_end()) std::this_thread::yield();
    EXPECT_FALSE(open[2]->end(0));
    open[2].reset();
  });
  EXPECT_TRUE(places.take());
  slowest.join();
  for (const std::size_t other : {0u, 1u, 3u}) EXPECT_FALSE(open[other]->has_to_end());
}

TEST(Places, OneThatWorksIsNotEndedForAnother) {
  Places places({.running_max = 4, .open_max = 2, .wait = 0ms, .resume_wait = 0ms, .grace = 0ms});
  auto first = places.take();
  auto second = places.take();
  EXPECT_FALSE(places.take());
  EXPECT_FALSE(first->has_to_end() || second->has_to_end());
}

TEST(Places, TwentyTricklersDoNotKeepOthersOut) {
  Places places(kOptions);
  std::atomic<bool> over = false;
  std::vector<std::thread> tricklers;
  for (int i = 0; i < 20; ++i)
    tricklers.emplace_back([&] {
      while (!over) {
        auto place = places.take();
        if (!place) continue;
        place->begin();
        while (!over && !place->has_to_end()) std::this_thread::yield();
        static_cast<void>(place->end(1));
      }
    });
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(places.take()) << i;
  over = true;
  for (std::thread& one : tricklers) one.join();
}

}  // namespace
}  // namespace millrace::warehouse
