#include "base/outage_notes.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

const Error kAway{ErrorKind::kUnavailable, "away", 7};

TEST(OutageNotes, SayAnOutageOnceAndEveryNewReasonOnce) {
  OutageNotes notes;
  EXPECT_TRUE(notes.worth_a_line(kAway));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(notes.worth_a_line(kAway));
  EXPECT_TRUE(notes.worth_a_line({ErrorKind::kUnavailable, "slow", 28}));
  EXPECT_FALSE(notes.worth_a_line(kAway));
  EXPECT_FALSE(notes.worth_a_line({ErrorKind::kUnavailable, "still slow", 28}));
}

TEST(OutageNotes, SayTheNextOutageAgain) {
  OutageNotes notes;
  EXPECT_FALSE(notes.over());
  EXPECT_TRUE(notes.worth_a_line(kAway));
  EXPECT_TRUE(notes.over());
  EXPECT_FALSE(notes.over());
  EXPECT_TRUE(notes.worth_a_line(kAway));
}

TEST(OutageNotes, RemindAfterSilence) {
  OutageNotes notes(std::chrono::milliseconds(0));
  EXPECT_TRUE(notes.worth_a_line(kAway));
  EXPECT_TRUE(notes.worth_a_line(kAway));
}

}  // namespace
}  // namespace millrace::base
