#include "transform/repeats.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace millrace::transform {
namespace {

TEST(RepeatWindow, KeepsTheFirstOfEachEventAndDropsRepeatsWithinTheWindow) {
  RepeatWindow window(3);
  EXPECT_EQ(window.take(1, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(2, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(1, 1), Verdict::kRepeat);
  EXPECT_EQ(window.take(1, 2), Verdict::kRepeat);
}

TEST(RepeatWindow, ForgetsWhatIsFartherBackThanTheWindow) {
  RepeatWindow window(2);
  EXPECT_EQ(window.take(1, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(2, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(3, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(1, 1), Verdict::kKeep);
}

TEST(RepeatWindow, DropsRecordsOfAFormerOwnerAndDoesNotLetThemHideTheRealOne) {
  RepeatWindow window(10);
  EXPECT_EQ(window.take(1, 2), Verdict::kKeep);
  // Sent late by the owner before: dropped. The new owner sends the same event again, and that one counts.
  EXPECT_EQ(window.take(5, 1), Verdict::kFormerOwner);
  EXPECT_EQ(window.take(5, 2), Verdict::kKeep);
}

TEST(RepeatWindow, AnUnreadableRecordTakesAPlaceAndMatchesNothing) {
  RepeatWindow window(2);
  EXPECT_EQ(window.take(1, 1), Verdict::kKeep);
  window.take_unreadable();
  window.take_unreadable();
  EXPECT_EQ(window.take(1, 1), Verdict::kKeep);
}

/// Stopping at any record and making the window again must not change what comes out.
TEST(RepeatWindow, JudgesTheSameAfterBeingMadeAgainAtAnyRecord) {
  struct Record {
    std::uint64_t id;
    std::uint64_t epoch;
    bool readable;
  };
  constexpr std::size_t kWindow = 6;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Record> log;
    std::uint64_t epoch = 1;
    for (int i = 0; i < 60; ++i) {
      if (random() % 9 == 0) ++epoch;
      const std::uint64_t late = random() % 4 == 0 && epoch > 1 ? 1 : 0;
      log.push_back({random() % 12, epoch - late, random() % 15 != 0});
    }
    const auto feed = [](RepeatWindow& window, const Record& record) {
      if (record.readable) return window.take(record.id, record.epoch);
      window.take_unreadable();
      return Verdict::kKeep;
    };
    std::vector<Verdict> verdicts;
    std::vector<std::uint64_t> start_epochs = {0};
    RepeatWindow whole(kWindow);
    for (const Record& record : log) {
      verdicts.push_back(feed(whole, record));
      start_epochs.push_back(whole.start_epoch());
    }
    for (std::size_t stop = 0; stop < log.size(); ++stop) {
      RepeatWindow again(kWindow, start_epochs[stop]);
      for (std::size_t i = stop < kWindow ? 0 : stop - kWindow; i < stop; ++i) feed(again, log[i]);
      for (std::size_t i = stop; i < log.size(); ++i)
        ASSERT_EQ(feed(again, log[i]), verdicts[i])
            << "seed " << seed << ", made again at " << stop << ", record " << i;
    }
  }
}

}  // namespace
}  // namespace millrace::transform
