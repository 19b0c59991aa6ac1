#include "base/outage_logger.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

const Error kAway{ErrorKind::kUnavailable, "away", 7};

TEST(OutageLogger, SayAnOutageOnceAndEveryNewReasonOnce) {
  OutageLogger notes;
  EXPECT_TRUE(notes.should_log(kAway));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(notes.should_log(kAway));
  EXPECT_TRUE(notes.should_log({ErrorKind::kUnavailable, "slow", 28}));
  EXPECT_FALSE(notes.should_log(kAway));
  EXPECT_FALSE(notes.should_log({ErrorKind::kUnavailable, "still slow", 28}));
}

TEST(OutageLogger, SayTheNextOutageAgain) {
  OutageLogger notes;
  EXPECT_FALSE(notes.over());
  EXPECT_TRUE(notes.should_log(kAway));
  EXPECT_TRUE(notes.over());
  EXPECT_FALSE(notes.over());
  EXPECT_TRUE(notes.should_log(kAway));
}

TEST(OutageLogger, RemindAfterSilence) {
  OutageLogger notes(std::chrono::milliseconds(0));
  EXPECT_TRUE(notes.should_log(kAway));
  EXPECT_TRUE(notes.should_log(kAway));
}

}  // namespace
}  // namespace millrace::base
