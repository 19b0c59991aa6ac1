#include "verify/comparison.h"

#include <random>

#include <gtest/gtest.h>

namespace millrace::verify {
namespace {

constexpr const char* kDay = "2026-01-31";

Image image(const std::string& user, Int128 cents, std::string status = "PENDING") {
  return {.user_id = user,
          .user_email = user + "@example.com",
          .created_at = "2026-01-31 09:05:00.123",
          .status = std::move(status),
          .total_amount = cents,
          .lines = {{.product_id = "p1", .product_name = "Lamp", .quantity = 2, .revenue = cents * 100}}};
}

Change created(const std::string& order, Image after) {
  return {.order_id = order, .before = {}, .after = std::move(after)};
}
Change deleted(const std::string& order, Image before) {
  return {.order_id = order, .before = std::move(before), .after = {}};
}

ViewRow row(const View& view, Key key, const Measures& measures) {
  ViewRow made{.key = std::move(key), .measures = measures, .average = std::nullopt};
  if (view.has_average) made.average = average_of(view, measures);
  return made;
}

const View& daily() {
  return view_of(ViewId::kDaily);
}
ViewRow daily_row(Int128 orders, Int128 cents, Int128 customers) {
  return row(daily(), {kDay}, {orders, cents, customers});
}

PendingChange movement_of(const View& view, const Key& key, const std::vector<Change>& changes) {
  const std::set<Key> keys = {key};
  PendingChanges pending(view, keys);
  for (const Change& change : changes) pending.add(change);
  return pending.of(key);
}

bool same(const Measures& a, const Measures& b) {
  return a == b;
}

TEST(VerifyContributions, LeaveCancelledAndRefundedOrdersOutOfSalesOnly) {
  for (const char* status : {"CANCELLED", "REFUNDED"}) {
    EXPECT_TRUE(contributions(daily(), image("u", 100, status)).empty());
    EXPECT_TRUE(contributions(view_of(ViewId::kHourly), image("u", 100, status)).empty());
    EXPECT_EQ(contributions(view_of(ViewId::kStatus), image("u", 100, status)).size(), 1U);
    EXPECT_EQ(contributions(view_of(ViewId::kUser), image("u", 100, status)).size(), 1U);
    EXPECT_EQ(contributions(view_of(ViewId::kProduct), image("u", 100, status)).size(), 1U);
  }
}

TEST(VerifyContributions, FallIntoTheDayAndHourOfTheOrder) {
  EXPECT_EQ(contributions(daily(), image("u", 100))[0].key, (Key{kDay}));
  EXPECT_EQ(contributions(view_of(ViewId::kHourly), image("u", 100))[0].key, (Key{"2026-01-31 09:00:00"}));
}

TEST(VerifyContributions, AddUpTwoLinesOfOneProduct) {
  Image order = image("u", 100);
  order.lines.push_back(order.lines[0]);
  const auto all = contributions(view_of(ViewId::kProduct), order);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_TRUE(same(all[0].measures, {4, 20000, 0}));
}

TEST(VerifyMovements, StayZeroWithoutAChangeOfTheKey) {
  Image elsewhere = image("u", 100);
  elsewhere.created_at = "2026-02-01 00:00:00.000";
  EXPECT_FALSE(movement_of(daily(), {kDay}, {created("o", elsewhere)}).changed);
}

TEST(VerifyMovements, OpenUpwardsForACreationAndDownwardsForADeletion) {
  const PendingChange up = movement_of(daily(), {kDay}, {created("o", image("u", 100))});
  EXPECT_TRUE(same(up.low, {0, 0, 0}));
  EXPECT_TRUE(same(up.high, {1, 100, 1}));
  const PendingChange down = movement_of(daily(), {kDay}, {deleted("o", image("u", 100))});
  EXPECT_TRUE(same(down.low, {-1, -100, -1}));
  EXPECT_TRUE(same(down.high, {0, 0, 0}));
}

TEST(VerifyMovements, LetAnOrderThatCameAndWentReachNoFurtherThanItStood) {
  const PendingChange movement =
      movement_of(daily(), {kDay}, {created("o", image("u", 100)), deleted("o", image("u", 100))});
  EXPECT_TRUE(movement.changed);
  // A customer's other orders are not looked at, so for customers one down stays possible.
  EXPECT_TRUE(same(movement.low, {0, 0, -1}));
  EXPECT_TRUE(same(movement.high, {1, 100, 1}));
}

TEST(VerifyMovements, AllowAChangeOfStatusToBeHalfVisible) {
  const Change shipped{.order_id = "o", .before = image("u", 100), .after = image("u", 100, "SHIPPED")};
  const PendingChange day = movement_of(daily(), {kDay}, {shipped});
  EXPECT_TRUE(same(day.low, {-1, -100, -1}));
  EXPECT_TRUE(same(day.high, {1, 100, 1}));
  const PendingChange pending = movement_of(view_of(ViewId::kStatus), {kDay, "PENDING"}, {shipped});
  EXPECT_TRUE(same(pending.low, {-1, -100, 0}));
  EXPECT_TRUE(same(pending.high, {0, 0, 0}));
}

TEST(VerifyMovements, CountACustomerOnceHoweverManyOrders) {
  const PendingChange movement = movement_of(
      daily(), {kDay},
      {created("o1", image("u", 100)), created("o2", image("u", 100)), created("o3", image("v", 100))});
  EXPECT_TRUE(same(movement.high, {3, 300, 2}));
}

TEST(CompareView, DemandsEqualityWhenNothingChanged) {
  const ViewRow a = daily_row(2, 300, 2);
  const ViewRow cent = daily_row(2, 301, 2);
  const ViewRow customer = daily_row(2, 300, 1);
  EXPECT_EQ(compare_view(daily(), &a, &a, {}, false), Verdict::kEqual);
  EXPECT_EQ(compare_view(daily(), &a, &cent, {}, false), Verdict::kDiffers);
  EXPECT_EQ(compare_view(daily(), &a, &customer, {}, false), Verdict::kDiffers);
  EXPECT_EQ(compare_view(daily(), &a, nullptr, {}, false), Verdict::kDiffers);
  EXPECT_EQ(compare_view(daily(), nullptr, &a, {}, false), Verdict::kDiffers);
  EXPECT_EQ(compare_view(daily(), nullptr, nullptr, {}, false), Verdict::kEqual);
}

TEST(CompareView, CallsWhatTheChangesAllowInFlightAndTheRestWrong) {
  const ViewRow a = daily_row(2, 300, 2);
  const PendingChange movement = movement_of(daily(), {kDay}, {created("o", image("u", 100))});
  const ViewRow applied = daily_row(3, 400, 2);
  EXPECT_EQ(compare_view(daily(), &a, &applied, movement, false), Verdict::kInFlight);
  const ViewRow a_cent_above = daily_row(3, 401, 2);
  EXPECT_EQ(compare_view(daily(), &a, &a_cent_above, movement, false), Verdict::kDiffers);
  const ViewRow fewer = daily_row(1, 200, 2);
  EXPECT_EQ(compare_view(daily(), &a, &fewer, movement, false), Verdict::kDiffers);
}

TEST(CompareView, SeesAKeyAppearAndVanishInFlight) {
  const PendingChange up = movement_of(daily(), {kDay}, {created("o", image("u", 100))});
  const ViewRow one = daily_row(1, 100, 1);
  EXPECT_EQ(compare_view(daily(), nullptr, &one, up, false), Verdict::kInFlight);
  const PendingChange down = movement_of(daily(), {kDay}, {deleted("o", image("u", 100))});
  EXPECT_EQ(compare_view(daily(), &one, nullptr, down, false), Verdict::kInFlight);
}

TEST(CompareView, CallsLagAloneNoProofButAWrongAverageAlways) {
  const ViewRow a = daily_row(3, 100, 1);
  const ViewRow behind = daily_row(2, 50, 1);
  EXPECT_EQ(compare_view(daily(), &a, &behind, {}, true), Verdict::kLagging);
  ViewRow average = a;
  average.average = 34;
  EXPECT_EQ(compare_view(daily(), &a, &average, {}, true), Verdict::kDiffers);
}

TEST(CompareView, RefusesAKeyThatStandsForNothing) {
  const View& status = view_of(ViewId::kStatus);
  const ViewRow nothing = row(status, {kDay, "PENDING"}, {0, 0, 0});
  EXPECT_EQ(compare_view(status, nullptr, &nothing, {}, false), Verdict::kDiffers);
}

/// One order's life for the property below: how it stands in A, what changes then, and what the warehouse
/// counts for it.
struct Life {
  std::optional<Image> in_a;
  std::vector<Change> changes;
  std::vector<Image> in_w;  ///< None, one, or (half visible) two images.
};

class Lives {
 public:
  explicit Lives(std::uint32_t seed) : random_(seed) {}

  std::vector<Life> some() {
    std::vector<Life> lives;
    const std::size_t count = 1 + pick(4);
    for (std::size_t i = 0; i < count; ++i) lives.push_back(one("o" + std::to_string(i)));
    return lives;
  }

 private:
  std::size_t pick(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }
  std::string status() { return std::array{"PENDING", "SHIPPED", "CANCELLED", "REFUNDED"}[pick(4)]; }

  Life one(const std::string& id) {
    const std::string user = "u" + std::to_string(pick(2));
    const auto cents = static_cast<Int128>(1 + pick(500));
    Life life;
    std::optional<Image> now;
    if (pick(2) == 0) now = image(user, cents, status());
    life.in_a = now;
    const auto whole = [&] { return now ? std::vector<Image>{*now} : std::vector<Image>{}; };
    std::vector<std::vector<Image>> stops = {whole()};
    const std::size_t changes = pick(4);
    for (std::size_t i = 0; i < changes; ++i) {
      Change change{.order_id = id, .before = now, .after = std::nullopt};
      const bool deletes = now && pick(3) == 0;
      if (!deletes) change.after = image(user, cents, status());
      if (change.before && change.after) {
        stops.emplace_back();
        stops.push_back({*change.before, *change.after});
      }
      now = change.after;
      stops.push_back(whole());
      life.changes.push_back(std::move(change));
      if (deletes) break;
    }
    life.in_w = stops[pick(stops.size())];
    return life;
  }

  std::minstd_rand random_;
};

std::map<Key, ViewRow> counted(const View& view, const std::vector<Image>& images) {
  std::map<Key, Measures> sums;
  std::map<Key, std::set<std::string>> customers;
  for (const Image& one : images) {
    for (const Contribution& part : contributions(view, one)) {
      for (std::size_t i = 0; i < kMeasuresMax; ++i) sums[part.key][i] += part.measures[i];
      if (!part.customer.empty()) customers[part.key].insert(part.customer);
    }
  }
  std::map<Key, ViewRow> rows;
  for (auto& [key, measures] : sums) {
    if (view.id == ViewId::kDaily) measures[2] = static_cast<Int128>(customers[key].size());
    rows[key] = row(view, key, measures);
  }
  return rows;
}

// What the whole check rests on: whatever leading part of each order's changes the warehouse has, one of them
// perhaps half visible, it is never called wrong.
TEST(CompareView, NeverCallsWrongWhatAPartOfTheChangesMakes) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  Lives source(seed);
  for (int trial = 0; trial < 3'000; ++trial) {
    const std::vector<Life> lives = source.some();
    std::vector<Image> images_a;
    std::vector<Image> images_w;
    for (const Life& life : lives) {
      if (life.in_a) images_a.push_back(*life.in_a);
      images_w.insert(images_w.end(), life.in_w.begin(), life.in_w.end());
    }
    for (const View& view : all_views()) {
      const auto a = counted(view, images_a);
      const auto w = counted(view, images_w);
      std::set<Key> keys;
      for (const auto& [key, unused] : a) keys.insert(key);
      for (const auto& [key, unused] : w) keys.insert(key);
      PendingChanges pending(view, keys);
      for (const Life& life : lives) {
        for (const Change& change : life.changes) pending.add(change);
      }
      for (const Key& key : keys) {
        const ViewRow* const in_a = a.contains(key) ? &a.at(key) : nullptr;
        const ViewRow* const in_w = w.contains(key) ? &w.at(key) : nullptr;
        EXPECT_NE(compare_view(view, in_a, in_w, pending.of(key), false), Verdict::kDiffers)
            << view.name << " " << key_text(view, key);
      }
    }
  }
}

OrderRow order(std::uint64_t version, std::string status = "PENDING") {
  OrderRow made;
  made.id = "o";
  made.version = version;
  made.columns[kVersionColumn] = std::to_string(version);
  made.columns[5] = std::move(status);
  return made;
}

TEST(CompareOrder, WantsTheSameColumnsAtTheSameVersion) {
  const OrderRow store = order(5);
  const OrderRow wrong = order(5, "SHIPPED");
  EXPECT_EQ(compare_order(&store, &store, &store), Verdict::kEqual);
  EXPECT_EQ(compare_order(&store, &wrong, &store), Verdict::kDiffers);
}

TEST(CompareOrder, TellsLagFromAVersionThatNeverWas) {
  const OrderRow store = order(5);
  const OrderRow old = order(4);
  const OrderRow future = order(6);
  EXPECT_EQ(compare_order(&store, &old, &store), Verdict::kLagging);
  EXPECT_EQ(compare_order(&store, nullptr, &store), Verdict::kLagging);
  EXPECT_EQ(compare_order(&store, &future, &store), Verdict::kDiffers);
  EXPECT_EQ(compare_order(nullptr, &store, nullptr), Verdict::kDiffers);
}

TEST(CompareOrder, LeavesAnOrderThatChangesMeanwhileInFlight) {
  const OrderRow before = order(5);
  const OrderRow between = order(6, "PREPARING");
  const OrderRow after = order(7, "SHIPPED");
  const OrderRow wrong_after = order(7, "DELIVERED");
  EXPECT_EQ(compare_order(&before, &between, &after), Verdict::kInFlight);
  EXPECT_EQ(compare_order(&before, &after, &after), Verdict::kEqual);
  EXPECT_EQ(compare_order(&before, &wrong_after, &after), Verdict::kDiffers);
  EXPECT_EQ(compare_order(nullptr, nullptr, &after), Verdict::kEqual);  // As in A.
}

TEST(CompareOrder, ForgivesOnlyAPurgedOrderItsAbsence) {
  OrderRow store = order(5);
  store.may_be_purged = true;
  EXPECT_EQ(compare_order(&store, nullptr, &store), Verdict::kEqual);
  const OrderRow undeleted = order(4);
  EXPECT_EQ(compare_order(&store, &undeleted, &store), Verdict::kLagging);
}

}  // namespace
}  // namespace millrace::verify
