#include "sink/rejected_rows.h"

#include <algorithm>
#include <deque>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace millrace::sink {
namespace {

/// A table that refuses some rows, and every insert that has one of them.
struct Table {
  std::set<const domain::AnalyticsRow*> refused;
  std::set<const domain::AnalyticsRow*> taken;
  std::size_t inserts = 0;
  std::size_t away_after = SIZE_MAX;

  InsertRows insert() {
    return [this](std::vector<const domain::AnalyticsRow*> rows) -> base::Result<void> {
      if (++inserts > away_after) return base::unavailable("away");
      for (const auto* row : rows)
        if (refused.contains(row)) return base::rejected("row " + row->order_id.value(), 469);
      taken.insert(rows.begin(), rows.end());
      return {};
    };
  }
};

struct Rows {
  explicit Rows(std::size_t count) : made(count) {
    for (auto& row : made) {
      row.order_id = domain::OrderId(std::to_string(pointers.size()));
      pointers.push_back(&row);
    }
  }
  std::deque<domain::AnalyticsRow> made;
  std::vector<const domain::AnalyticsRow*> pointers;
};

TEST(RejectedRows, AreFoundWhereverTheyStandAndAllOthersGoIn) {
  std::mt19937 random(7);
  for (std::size_t count : {1u, 2u, 3u, 17u, 64u}) {
    for (int round = 0; round < 30; ++round) {
      const Rows rows(count);
      Table table;
      table.refused.insert(rows.pointers[random() % count]);
      for (const auto* row : rows.pointers)
        if (random() % 5 == 0) table.refused.insert(row);

      const auto found =
          bisect_insert(rows.pointers, {base::ErrorKind::kRejected, "all", 469}, table.insert());

      ASSERT_TRUE(found);
      std::set<const domain::AnalyticsRow*> blamed;
      for (const RefusedRow& row : *found) blamed.insert(row.row);
      EXPECT_EQ(blamed, table.refused);
      EXPECT_EQ(table.taken.size(), count - table.refused.size());
    }
  }
}

TEST(RejectedRows, ComeWithTheReasonTheyWereGivenAlone) {
  const Rows rows(4);
  Table table;
  table.refused.insert(rows.pointers[2]);
  const auto found = bisect_insert(rows.pointers, {base::ErrorKind::kRejected, "all", 469}, table.insert());
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().detail, "row 2");
}

TEST(RejectedRows, ComeWithAReasonThatHoldsNothingTheWarehouseSaid) {
  const Rows rows(1);
  const InsertRows never = [](const auto&) -> base::Result<void> { return {}; };
  const auto reason = [&](const base::Error& refusal) {
    return bisect_insert(rows.pointers, refusal, never)->front().reason;
  };
  EXPECT_EQ(reason({base::ErrorKind::kRejected, "http://wh7:8123 answered 400: INSERT INTO", 407}),
            "the warehouse does not take the row (code 407); the log says more");
  EXPECT_EQ(reason({base::ErrorKind::kRejected, "the amount is not money", 0}), "the amount is not money");
}

TEST(RejectedRows, CostFewInsertsEach) {
  const Rows rows(20'000);
  Table table;
  table.refused.insert(rows.pointers[12'345]);
  ASSERT_TRUE(bisect_insert(rows.pointers, {base::ErrorKind::kRejected, "all", 469}, table.insert()));
  EXPECT_LE(table.inserts, 30u);
}

TEST(RejectedRows, AreNoneWhenTheTableGoesAwayMeanwhile) {
  const Rows rows(64);
  Table table;
  table.refused.insert(rows.pointers[63]);
  table.away_after = 3;
  const auto found = bisect_insert(rows.pointers, {base::ErrorKind::kRejected, "all", 469}, table.insert());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, base::ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace millrace::sink
