#include "transform/repeats.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace millrace::transform {
namespace {

TEST(RepeatWindow, KeepsTheFirstOfEachEventAndDropsRepeatsWithinTheWindow) {
  RepeatWindow window(3);
  EXPECT_EQ(window.take(0, 1, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(1, 2, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(2, 1, 1), Verdict::kRepeat);
  EXPECT_EQ(window.take(3, 1, 2), Verdict::kRepeat);
}

TEST(RepeatWindow, ForgetsAnEventAfterThatManyOthers) {
  RepeatWindow window(2);
  EXPECT_EQ(window.take(0, 1, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(1, 2, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(2, 3, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(3, 1, 1), Verdict::kKeep);
}

TEST(RepeatWindow, RemembersAnEventHoweverOftenOthersAreRepeatedAfterIt) {
  RepeatWindow window(2);
  EXPECT_EQ(window.take(0, 1, 1), Verdict::kKeep);
  EXPECT_EQ(window.take(1, 2, 1), Verdict::kKeep);
  // Every relay appends the first of two rows, and is gone before the second.
  for (std::int64_t again = 2; again < 1'000; ++again)
    EXPECT_EQ(window.take(again, 1, static_cast<std::uint64_t>(again)), Verdict::kRepeat);
  EXPECT_EQ(window.take(1'000, 2, 1'000), Verdict::kRepeat);
}

TEST(RepeatWindow, DropsRecordsOfAFormerOwnerAndDoesNotLetThemHideTheRealOne) {
  RepeatWindow window(10);
  EXPECT_EQ(window.take(0, 1, 2), Verdict::kKeep);
  // Sent late by the owner before: dropped. The new owner sends the same event again, and that one counts.
  EXPECT_EQ(window.take(1, 5, 1), Verdict::kFormerOwner);
  EXPECT_EQ(window.take(2, 5, 2), Verdict::kKeep);
}

TEST(RepeatWindow, GivesRecordsOfAFormerOwnerNoPlace) {
  RepeatWindow window(1);
  EXPECT_EQ(window.take(0, 1, 2), Verdict::kKeep);
  EXPECT_EQ(window.take(1, 5, 1), Verdict::kFormerOwner);
  EXPECT_EQ(window.take(2, 1, 2), Verdict::kRepeat);
}

/// Stopping at any record and making the window again must not change what comes out.
TEST(RepeatWindow, JudgesTheSameAfterBeingMadeAgainAtAnyRecord) {
  struct Record {
    std::uint64_t id;
    std::uint64_t epoch;
    bool readable;
  };
  for (const std::size_t ids_max : {std::size_t{1}, std::size_t{3}, std::size_t{6}}) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      std::mt19937_64 random(seed);
      std::vector<Record> log;
      std::uint64_t epoch = 1;
      for (int i = 0; i < 90; ++i) {
        if (random() % 9 == 0) ++epoch;
        const std::uint64_t late = random() % 4 == 0 && epoch > 1 ? 1 : 0;
        log.push_back({random() % (random() % 3 == 0 ? 12 : 3), epoch - late, random() % 15 != 0});
      }
      const auto feed = [&](RepeatWindow& window, std::size_t offset) {
        const Record& record = log[offset];
        return record.readable ? window.take(static_cast<std::int64_t>(offset), record.id, record.epoch)
                               : Verdict::kKeep;
      };
      std::vector<Verdict> verdicts;
      std::vector<std::size_t> starts = {0};
      RepeatWindow whole(ids_max);
      for (std::size_t offset = 0; offset < log.size(); ++offset) {
        verdicts.push_back(feed(whole, offset));
        starts.push_back(whole.start_offset() ? static_cast<std::size_t>(*whole.start_offset()) : offset + 1);
      }
      for (std::size_t stop = 0; stop < log.size(); ++stop) {
        RepeatWindow again(ids_max);
        for (std::size_t offset = starts[stop]; offset < stop; ++offset) feed(again, offset);
        for (std::size_t offset = stop; offset < log.size(); ++offset)
          ASSERT_EQ(feed(again, offset), verdicts[offset])
              << "seed " << seed << ", made again at " << stop << ", record " << offset;
      }
    }
  }
}

}  // namespace
}  // namespace millrace::transform
