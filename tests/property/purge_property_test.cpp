// The purge beside sinks that replay old events and inserts that come late, over tables in memory: each call
// goes wrong in each way, at random moments of all the others, and a deleted order is never visible again.
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "purge/purge.h"

namespace millrace {
namespace {

using purge::DeletedOrder;

constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kStart = 1'000 * kDay;
constexpr std::int64_t kInsertTimeout = 30'000;
constexpr std::int64_t kCallTimeout = 20'000;
constexpr std::int64_t kCheckAge = kHour;

enum class Fault { kNone, kFail, kLoseAnswer, kDoHalf, kComeLate };

/// What must be found wrong when it is built in.
enum class Planted { kNothing, kNoWaitForInserts, kNoDeadline, kNoLookUp, kTombstoneFirst };

struct Event {
  std::string order;
  std::uint64_t version;
  bool deleted;
  friend auto operator<=>(const Event&, const Event&) = default;
};

class World final : public purge::PurgeTables, public ports::Clock {
 public:
  World(std::uint64_t seed, Planted planted) : random_(seed), planted_(planted) {
    for (int order = 0; order < 8; ++order) {
      const std::string name = "order-" + std::to_string(order);
      auto time = kStart - 12 * kDay + static_cast<std::int64_t>(random_() % (10 * kDay));
      const auto add = [&](bool deleted) {
        log_.push_back({name, static_cast<std::uint64_t>(time), deleted});
        time += 1 + static_cast<std::int64_t>(random_() % (kDay / 2));
      };
      add(false);
      for (auto more = random_() % 3; more > 0; --more) add(false);
      if (random_() % 3 != 0) add(true);
      if (log_.back().deleted && random_() % 6 == 0) add(false);  // more recent than its tombstone
    }
    std::ranges::sort(log_, {}, &Event::version);
  }

  [[nodiscard]] base::UtcTime now() const override { return base::utc_from_ms(now_); }

  void arm(std::uint64_t nth, Fault fault) {
    nth_ = nth;
    fault_ = fault;
  }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  [[nodiscard]] const std::string& resurrection() const { return resurrection_; }
  [[nodiscard]] std::uint64_t skipped() const { return skipped_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  void pass(std::int64_t ms) { now_ += ms; }

  base::Result<std::vector<DeletedOrder>> due(base::UtcTime before, std::size_t orders_max,
                                              base::Deadline) override {
    return find(orders_max, [&](const Event& newest) {
      return static_cast<std::int64_t>(newest.version) < base::to_ms(before) &&
             !(purged_.contains(newest.order) && purged_.at(newest.order).version == newest.version);
    });
  }
  base::Result<std::vector<DeletedOrder>> announced(std::chrono::milliseconds ago, std::size_t orders_max,
                                                    base::Deadline) override {
    return find(orders_max, [&](const Event& newest) {
      const auto record = purged_.find(newest.order);
      return record != purged_.end() && record->second.version == newest.version &&
             record->second.at <= now_ - ago.count();
    });
  }
  base::Result<void> announce(std::span<const DeletedOrder> orders, base::Deadline) override {
    const std::int64_t stamped = now_;
    live(kCallTimeout);
    return change(orders, [this, stamped](const DeletedOrder& order) {
      // The engine ends a statement by its deadline.
      if (now_ <= stamped + 2 * kCallTimeout) purged_[order.order_id.value()] = {order.version, stamped};
    });
  }
  base::Result<void> delete_older_versions(std::span<const DeletedOrder> orders, base::Deadline) override {
    return planted_ == Planted::kTombstoneFirst ? delete_newest(orders) : delete_older(orders);
  }
  base::Result<void> delete_tombstones(std::span<const DeletedOrder> orders, base::Deadline) override {
    return planted_ == Planted::kTombstoneFirst ? delete_older(orders) : delete_newest(orders);
  }

  /// Other processes for at most `span`: sinks take, check and write slices of the log, a dropped call of the
  /// purge is done after all, time goes on.
  void live(std::int64_t span) {
    const std::int64_t end = now_ + span;
    for (auto steps = random_() % 8; steps > 0; --steps) {
      switch (random_() % 6) {
        case 0:
        case 1:
          take_slice();
          break;
        case 2:
        case 3:
        case 4:
          advance_an_insert();
          break;
        default:
          now_ += static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(end - now_ + 1));
      }
      if (!late_.empty() && random_() % 3 == 0) finish_late();
    }
  }

  /// Everything under way ends, and the sink reaches the end of the log.
  void settle() {
    while (!late_.empty()) finish_late();
    while (!inserts_.empty()) advance_an_insert();
    while (position_ < log_.size()) {
      take_slice();
      while (!inserts_.empty()) advance_an_insert();
    }
  }

  void expect_purged(const purge::Options& options) const {
    std::map<std::string, Event> newest;
    for (const Event& event : log_) newest[event.order] = event;
    for (const auto& [order, last] : newest) {
      const bool gone =
          last.deleted && static_cast<std::int64_t>(last.version) < kStart - options.period.count();
      const auto rows = rows_of(order);
      if (gone) {
        EXPECT_TRUE(rows.empty()) << order << " is not gone";
      } else if (!rows.empty() || !last.deleted ||
                 static_cast<std::int64_t>(last.version) >= now_ - options.period.count()) {
        ASSERT_FALSE(rows.empty()) << order << " is lost";
        EXPECT_EQ(*rows.rbegin(), last) << order;
      }
    }
  }

 private:
  struct Record {
    std::uint64_t version;
    std::int64_t at;
  };
  struct Insert {
    std::vector<Event> rows;
    std::size_t end;
    std::int64_t not_after;
    bool slow;                            // its sink was stopped, or its packets were
    std::optional<std::int64_t> ends_by;  // set when the constraint let it in
  };

  [[nodiscard]] std::set<Event> rows_of(const std::string& order) const {
    std::set<Event> rows;
    for (const Event& row : rows_)
      if (row.order == order) rows.insert(row);
    return rows;
  }

  void look() {
    for (const auto& [order, tombstone] : seen_deleted_) {
      const auto rows = rows_of(order);
      if (rows.empty()) continue;
      const Event& newest = *rows.rbegin();
      if (!newest.deleted && newest.version < tombstone) resurrection_ = order;
    }
  }
  void add_row(const Event& row) {
    rows_.insert(row);
    if (row.deleted) seen_deleted_[row.order] = row.version;
    look();
  }

  void take_slice() {
    if (inserts_.size() >= 3) return;
    const std::size_t begin = random_() % (position_ + 1);
    if (begin == log_.size()) return;
    Insert insert{{}, begin + 1 + random_() % (log_.size() - begin), 0, random_() % 3 == 0, {}};
    insert.not_after = planted_ == Planted::kNoDeadline ? INT64_MAX - kInsertTimeout : now_ + kInsertTimeout;
    for (std::size_t i = begin; i < insert.end; ++i) {
      const Event& event = log_[i];
      const auto record = purged_.find(event.order);
      const bool old = static_cast<std::int64_t>(event.version) < now_ - kCheckAge;
      if (planted_ != Planted::kNoLookUp && old && record != purged_.end() &&
          event.version <= record->second.version) {
        ++skipped_;
      } else {
        insert.rows.push_back(event);
      }
    }
    inserts_.push_back(std::move(insert));
  }

  void advance_an_insert() {
    if (inserts_.empty()) return;
    const auto at = inserts_.begin() + static_cast<std::ptrdiff_t>(random_() % inserts_.size());
    if (at->slow && random_() % 16 != 0) return;
    if (!at->ends_by) {
      if (now_ > at->not_after) {
        ++refused_;
        inserts_.erase(at);
      } else {
        at->ends_by = planted_ == Planted::kNoDeadline ? INT64_MAX : now_ + kInsertTimeout;
      }
      return;
    }
    if (now_ <= *at->ends_by) {
      const bool half = random_() % 8 == 0;
      for (const Event& row : at->rows)
        if (!half || random_() % 2 == 0) add_row(row);
      if (!half) position_ = std::max(position_, at->end);
    }
    inserts_.erase(at);
  }

  void finish_late() {
    const auto work = late_.front();
    late_.erase(late_.begin());
    work();
  }

  template <class Matches>
  base::Result<std::vector<DeletedOrder>> find(std::size_t orders_max, Matches matches) {
    if (step() != Fault::kNone) return away();
    std::map<std::string, Event> newest;
    for (const Event& row : rows_)
      if (!newest.contains(row.order) || newest.at(row.order).version < row.version) newest[row.order] = row;
    std::vector<DeletedOrder> found;
    for (const auto& [order, row] : newest)
      if (row.deleted && found.size() < orders_max && matches(row))
        found.push_back({domain::OrderId(order), row.version});
    return found;
  }

  base::Result<void> delete_older(std::span<const DeletedOrder> orders) {
    return change(orders, [this](const DeletedOrder& order) {
      for (const Event& row : rows_of(order.order_id.value())) {
        if (row.version >= order.version) continue;
        rows_.erase(row);
        look();
      }
    });
  }
  base::Result<void> delete_newest(std::span<const DeletedOrder> orders) {
    return change(orders, [this](const DeletedOrder& order) {
      rows_.erase({order.order_id.value(), order.version, true});
      look();
    });
  }

  base::Result<void> change(std::span<const DeletedOrder> orders,
                            std::function<void(const DeletedOrder&)> apply) {
    const Fault fault = step();
    if (fault == Fault::kFail) return away();
    const std::vector<DeletedOrder> all(orders.begin(), orders.end());
    if (fault == Fault::kComeLate) {
      late_.push_back([all, apply] {
        for (const DeletedOrder& order : all) apply(order);
      });
      return away();
    }
    const std::size_t count = fault == Fault::kDoHalf ? all.size() / 2 : all.size();
    for (std::size_t i = 0; i < count; ++i) apply(all[i]);
    live(kCallTimeout);
    if (fault != Fault::kNone) return away();
    return {};
  }

  Fault step() {
    live(kCallTimeout);
    return ++calls_ == nth_ ? fault_ : Fault::kNone;
  }
  static std::unexpected<base::Error> away() { return base::unavailable("away"); }

  std::mt19937_64 random_;
  const Planted planted_;
  std::int64_t now_ = kStart;
  std::vector<Event> log_;
  std::size_t position_ = 0;
  std::set<Event> rows_;
  std::map<std::string, Record> purged_;
  std::map<std::string, std::uint64_t> seen_deleted_;
  std::vector<Insert> inserts_;
  std::vector<std::function<void()>> late_;
  std::string resurrection_;
  std::uint64_t skipped_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t nth_ = 0;
  Fault fault_ = Fault::kNone;
};

purge::Options options_for(Planted planted) {
  purge::Options options;
  options.orders_max = 3;
  options.insert_life = std::chrono::milliseconds(
      planted == Planted::kNoWaitForInserts ? 0 : 2 * kInsertTimeout + 2 * kCallTimeout + 1);
  return options;
}

struct Outcome {
  std::uint64_t calls = 0;
  std::uint64_t skipped = 0;
  std::uint64_t refused = 0;
  bool resurrected = false;
};

Outcome run(std::uint64_t seed, std::uint64_t nth, Fault fault, Planted planted) {
  World world(seed, planted);
  world.live(kHour / 60);
  world.arm(nth, fault);
  const purge::Options options = options_for(planted);
  for (int round = 0; round < 12; ++round) {
    (void)purge::purge_once(world, world, options);  // an error is what a crash leaves behind
    world.live(kInsertTimeout);
  }
  const std::uint64_t calls = world.calls();
  world.arm(0, Fault::kNone);
  world.settle();
  for (int round = 0; round < 12; ++round) {
    EXPECT_TRUE(purge::purge_once(world, world, options));
    world.settle();
    world.pass(kInsertTimeout);
  }
  if (planted == Planted::kNothing) world.expect_purged(options);
  return {calls, world.skipped(), world.refused(), !world.resurrection().empty()};
}

TEST(Purge, KeepsEveryDeletedOrderHiddenWhateverStepIsCutShort) {
  std::uint64_t struck = 0;
  std::uint64_t skipped = 0;
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    for (const Fault fault : {Fault::kFail, Fault::kLoseAnswer, Fault::kDoHalf, Fault::kComeLate}) {
      for (std::uint64_t nth = 1; nth <= 40; ++nth) {
        SCOPED_TRACE("seed " + std::to_string(seed) + " fault " + std::to_string(static_cast<int>(fault)) +
                     " at call " + std::to_string(nth));
        const Outcome outcome = run(seed, nth, fault, Planted::kNothing);
        ASSERT_FALSE(outcome.resurrected);
        ASSERT_FALSE(HasFailure());
        skipped += outcome.skipped;
        refused += outcome.refused;
        if (outcome.calls < nth) break;
        ++struck;
      }
    }
  }
  EXPECT_GT(struck, 2'000u);
  EXPECT_GT(skipped, 1'000u);
  EXPECT_GT(refused, 1'000u);
}

TEST(Purge, WouldBringOrdersBackIfAnyOfItsGuardsWereMissing) {
  for (const Planted planted :
       {Planted::kNoWaitForInserts, Planted::kNoDeadline, Planted::kNoLookUp, Planted::kTombstoneFirst}) {
    int found = 0;
    for (std::uint64_t seed = 1; seed <= 300 && found == 0; ++seed)
      for (std::uint64_t nth = 0; nth <= 20 && found == 0; ++nth)
        found += run(seed, nth, Fault::kLoseAnswer, planted).resurrected ? 1 : 0;
    EXPECT_GT(found, 0) << "planted bug " << static_cast<int>(planted) << " was not noticed";
  }
}

}  // namespace
}  // namespace millrace
