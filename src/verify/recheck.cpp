#include "verify/recheck.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_set>

#include "base/backoff.h"
#include "verify/comparison.h"
#include "verify/describe.h"
#include "verify/warehouse_side.h"

namespace millrace::verify {
namespace {

using base::Deadline;
using base::Result;
using std::chrono::milliseconds;

constexpr int kRoundPausesGrowTo = 20;
/// Base rows and sums are written side by side: after a base row was seen its sums may be on their way for
/// this long, growing from round to round.
constexpr milliseconds kSettleFirst{100};
constexpr milliseconds kSettleMax{1'000};
/// One verdict alone may fall between two writes of one batch.
constexpr std::uint32_t kRoundsMin = 3;
/// Bounds the memory for recent orders; more of them are waited for in several rounds.
constexpr std::size_t kTailRowsMax = 1'000'000;

}  // namespace

/// Everything that a round knows; see comparison.h for A, W and B.
struct Recheck::Round {
  OrderMap orders_a, orders_w, orders_b;
  std::array<ViewMap, kViews> views_a, views_w;
  std::array<std::map<std::string, std::set<Key>>, kViews> days;  ///< The candidates of each view by day.
  std::array<std::set<Key>, kViews> keys;
  std::set<std::string> lagging_days;
  bool all_lagging = false;
  std::uint64_t outbox_floor = 0;  ///< Rows above this may be new in B.
  std::unordered_set<std::uint64_t> outbox_seen;
};

Result<void> Recheck::run() {
  const Deadline deadline = Deadline::in(context_.options().patience);
  base::Backoff pauses(context_.options().recheck_pause,
                       context_.options().recheck_pause * kRoundPausesGrowTo);
  milliseconds settle = kSettleFirst;
  while (found_.size() > 0) {
    if (rounds_ > 0) {
      if (deadline.passed() && rounds_ >= kRoundsMin) break;
      MILLRACE_TRY(context_.pause(pauses.next()));
    }
    context_.report_progress("checking again", rounds_ + 1, found_.size());
    MILLRACE_TRY(context_.retrying([&] { return one_round(deadline, settle); }));
    settle = std::min(settle * 2, kSettleMax);
    ++rounds_;
  }
  return {};
}

Result<void> Recheck::one_round(Deadline deadline, milliseconds settle) {
  Round round;
  for (const View& view : all_views()) {
    const auto index = static_cast<std::size_t>(view.id);
    for (const auto& [key, verdict] : found_.views[index].candidates) {
      round.days[index][std::string(day_of(view, key))].insert(key);
      round.keys[index].insert(key);
    }
  }
  const std::vector<std::string> ids = keys_of(found_.orders.candidates);
  OutboxTail tail;
  MILLRACE_TRY(read_a(round, ids, tail));
  const bool traffic = !tail.orders.empty();
  if (found_.has_view_keys()) {
    MILLRACE_TRY(wait_for_arrival(tail, deadline));
    if (traffic) MILLRACE_TRY(context_.pause(settle));
    for (const auto& [id, order] : tail.orders) round.lagging_days.insert(order.day);
    round.all_lagging = tail.cut;
  }
  MILLRACE_TRY(read_w(round, ids));
  return Recheck::read_b_and_compare(round, ids);
}

Result<void> Recheck::read_a(Round& round, const std::vector<std::string>& ids, OutboxTail& tail) {
  MILLRACE_TRY_ASSIGN(const auto a, context_.open_snapshot());
  MILLRACE_TRY_ASSIGN(round.orders_a,
                      read_orders(*a, ids, context_.options().purge_after, context_.statement_deadline()));
  if (!found_.has_view_keys()) return {};
  MILLRACE_TRY_ASSIGN(
      tail, read_outbox_tail(*a, context_.outbox_floor, kTailRowsMax, context_.statement_deadline()));
  MILLRACE_TRY_ASSIGN(const std::uint64_t last, read_outbox_last_id(*a, context_.statement_deadline()));
  round.outbox_floor = last - std::min(last, context_.options().outbox_margin);
  MILLRACE_TRY_ASSIGN(round.outbox_seen,
                      read_outbox_ids(*a, round.outbox_floor, context_.statement_deadline()));
  for (const View& view : all_views()) {
    const auto index = static_cast<std::size_t>(view.id);
    for (const auto& [day, keys] : round.days[index]) {
      MILLRACE_TRY(context_.check_stop());
      MILLRACE_TRY_ASSIGN(ViewMap rows, read_view_keys(*a, view, day, keys, context_.statement_deadline()));
      round.views_a[index].merge(rows);
    }
  }
  return {};
}

/// Waits until the warehouse shows the recent orders of A; leaves those that did not come.
Result<void> Recheck::wait_for_arrival(OutboxTail& tail, Deadline deadline) {
  const std::uint64_t last_id = tail.last_id;
  std::erase_if(tail.orders, [&](const auto& entry) {
    const auto known = arrived_.find(entry.first);
    return known != arrived_.end() && known->second >= entry.second.version;
  });
  std::unordered_map<std::string, std::uint64_t> waited;
  for (const auto& [id, order] : tail.orders) waited.emplace(id, order.version);

  // Not all of the patience at once: an order that never comes must not keep the others from being checked
  // again.
  const Deadline enough =
      Deadline::in(std::clamp(deadline.left() / 4, milliseconds(500), milliseconds(10'000)));
  base::Backoff backoff(milliseconds(20), milliseconds(500));
  while (true) {
    MILLRACE_TRY(remove_arrived(context_.warehouse(), tail.orders, context_.statement_deadline()));
    if (tail.orders.empty() || enough.passed()) break;
    MILLRACE_TRY(context_.pause(std::min(backoff.next(), enough.left())));
  }
  if (tail.orders.empty()) {
    const std::uint64_t floor = last_id - std::min(last_id, context_.options().outbox_margin);
    context_.outbox_floor = std::max(context_.outbox_floor, floor);
  }
  for (const auto& [id, order] : tail.orders) waited.erase(id);
  for (const auto& [id, version] : waited) arrived_[id] = version;
  if (arrived_.size() > 2 * kTailRowsMax) arrived_.clear();
  return {};
}

Result<void> Recheck::read_w(Round& round, const std::vector<std::string>& ids) {
  MILLRACE_TRY_ASSIGN(round.orders_w, read_orders(context_.warehouse(), ids, context_.statement_deadline()));
  for (const View& view : all_views()) {
    const auto index = static_cast<std::size_t>(view.id);
    for (const auto& [day, keys] : round.days[index]) {
      MILLRACE_TRY(context_.check_stop());
      MILLRACE_TRY_ASSIGN(
          ViewMap rows, read_view_keys(context_.warehouse(), view, day, keys, context_.statement_deadline()));
      round.views_w[index].merge(rows);
    }
  }
  return {};
}

Result<void> Recheck::read_b_and_compare(Round& round, const std::vector<std::string>& ids) {
  MILLRACE_TRY_ASSIGN(const auto b, context_.open_snapshot());
  std::vector<std::string> unequal;
  for (const std::string& id : ids) {
    if (!orders_equal(find(round.orders_a, id), find(round.orders_w, id))) unequal.push_back(id);
  }
  MILLRACE_TRY_ASSIGN(round.orders_b, read_orders(*b, unequal, context_.options().purge_after,
                                                  context_.statement_deadline()));
  std::vector<PendingChanges> pending;
  for (const View& view : all_views())
    pending.emplace_back(view, round.keys[static_cast<std::size_t>(view.id)]);
  if (found_.has_view_keys()) {
    MILLRACE_TRY(stream_changes(
        *b, round.outbox_floor, round.outbox_seen,
        [&](const Change* change) {
          if (change == nullptr) {
            round.all_lagging = true;
            return;
          }
          for (PendingChanges& changes : pending) changes.add(*change);
        },
        context_.statement_deadline()));
  }
  Recheck::compare_orders(round, ids, unequal);
  for (const View& view : all_views())
    Recheck::compare_view_keys(round, view, pending[static_cast<std::size_t>(view.id)]);
  return {};
}

void Recheck::compare_orders(Round& round, const std::vector<std::string>& ids,
                             const std::vector<std::string>& unequal) {
  const std::set<std::string> open(unequal.begin(), unequal.end());
  found_.orders.lines.clear();
  std::size_t described = 0;
  for (const std::string& id : ids) {
    const OrderRow* const a = find(round.orders_a, id);
    const OrderRow* const w = find(round.orders_w, id);
    const OrderRow* const b = open.contains(id) ? find(round.orders_b, id) : a;
    const Verdict verdict = compare_order(a, w, b);
    if (verdict == Verdict::kEqual) {
      found_.orders.candidates.erase(id);
      continue;
    }
    found_.orders.candidates[id] = verdict;
    if (verdict == Verdict::kLagging && a != nullptr) round.lagging_days.insert(a->day());
    if (verdict != Verdict::kInFlight && described++ < context_.options().differences_shown_max)
      describe_order(id, b, w, found_.orders.lines);
  }
}

void Recheck::compare_view_keys(const Round& round, const View& view, const PendingChanges& pending) {
  const auto index = static_cast<std::size_t>(view.id);
  ViewTable& table = found_.views[index];
  table.lines.clear();
  std::size_t described = 0;
  for (const Key& key : round.keys[index]) {
    const ViewRow* const a = find(round.views_a[index], key);
    const ViewRow* const w = find(round.views_w[index], key);
    const bool lagging = round.all_lagging || round.lagging_days.contains(std::string(day_of(view, key)));
    const Verdict verdict = compare_view(view, a, w, pending.of(key), lagging);
    if (verdict == Verdict::kEqual) {
      table.candidates.erase(key);
      continue;
    }
    table.candidates[key] = verdict;
    if (verdict != Verdict::kInFlight && described++ < context_.options().differences_shown_max)
      describe_view(view, key, a, w, table.lines);
  }
}

}  // namespace millrace::verify
