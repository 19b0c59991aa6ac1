#include "relay/in_flight_window.h"

#include <gtest/gtest.h>

namespace millrace::relay {
namespace {

using Ids = std::vector<std::uint64_t>;

TEST(InFlightWindow, HasRoomForAPortionAtATime) {
  InFlightWindow window(10, 64);
  EXPECT_EQ(window.portion(), 5u);
  EXPECT_TRUE(window.may_send());
  window.add({1, 2, 3, 4, 5});
  EXPECT_TRUE(window.may_send());
  window.add({6});
  EXPECT_TRUE(window.is_full());
  EXPECT_FALSE(window.may_send());
}

TEST(InFlightWindow, OfOneRowSendsOneRow) {
  InFlightWindow window(1, 64);
  EXPECT_EQ(window.portion(), 1u);
  window.add({7});
  EXPECT_FALSE(window.may_send());
}

TEST(InFlightWindow, BoundsTheAppendsToo) {
  InFlightWindow window(1'000, 2);
  window.add({1});
  window.add({2});
  EXPECT_FALSE(window.may_send());
  EXPECT_FALSE(window.is_full());
}

TEST(InFlightWindow, GivesToMarkWhatIsAcknowledgedInOrder) {
  InFlightWindow window(100, 64);
  window.add({1, 3});
  window.add({4});
  window.add({9, 12});
  EXPECT_FALSE(window.has_markable());
  EXPECT_TRUE(window.markable().empty());
  window.on_ack();
  window.on_ack();
  EXPECT_EQ(window.markable(), (Ids{1, 3, 4}));
  EXPECT_FALSE(window.all_acknowledged());
  EXPECT_EQ(window.rows(), 5u);
  window.on_marked();
  EXPECT_EQ(window.rows(), 2u);
  EXPECT_FALSE(window.contains(4));
  EXPECT_TRUE(window.contains(9));
  EXPECT_EQ(window.last_id(), 12u);
  window.on_ack();
  EXPECT_TRUE(window.all_acknowledged());
  EXPECT_EQ(window.markable(), (Ids{9, 12}));
}

TEST(InFlightWindow, HandsBackWhatItHeldWhenDropped) {
  InFlightWindow window(100, 64);
  window.add({1, 2});
  window.add({3});
  window.on_ack();
  EXPECT_EQ(window.drop(), (std::unordered_set<std::uint64_t>{1, 2, 3}));
  EXPECT_TRUE(window.empty());
  EXPECT_FALSE(window.has_markable());
  EXPECT_EQ(window.last_id(), 0u);
  window.add({1});
  EXPECT_FALSE(window.has_markable());
}

}  // namespace
}  // namespace millrace::relay
