#include "verify/verify.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/deadline.h"
#include "base/text.h"
#include "verify/chunk_merge.h"
#include "verify/judge.h"
#include "verify/store_side.h"
#include "verify/view.h"
#include "verify/warehouse_side.h"

namespace millrace::verify {
namespace {

using base::Deadline;
using base::Error;
using base::ErrorKind;
using base::Result;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kRetryFirst{100};
constexpr milliseconds kRetryLongest{3'000};
constexpr int kRoundPausesGrowTo = 20;
/// Base rows and sums are written side by side: after a base row was seen its sums may be on their way for
/// this long, growing from round to round.
constexpr milliseconds kSettleFirst{100};
constexpr milliseconds kSettleLongest{1'000};
/// One verdict alone may fall between two writes of one batch.
constexpr std::uint32_t kRoundsMin = 3;
constexpr milliseconds kOpenTimeout{10'000};
/// Bounds the memory for recent orders; more of them are waited for in several rounds.
constexpr std::size_t kTailRowsMax = 1'000'000;

constexpr std::string_view kMissing = "missing";

template <class Row, class KeyType>
const Row* find(const std::map<KeyType, Row>& rows, const KeyType& key) {
  const auto found = rows.find(key);
  return found == rows.end() ? nullptr : &found->second;
}

std::string shown(const std::optional<std::string>& text) {
  return text ? base::printable(*text, 120) : "NULL";
}

void describe_order(const std::string& id, const OrderRow* store, const OrderRow* warehouse,
                    std::vector<Difference>& lines) {
  const std::string key = base::printable(id, 80);
  if (store == nullptr || warehouse == nullptr) {
    lines.push_back({"orders", key, "", store == nullptr ? std::string(kMissing) : "has it",
                     warehouse == nullptr ? std::string(kMissing) : "has it"});
    return;
  }
  if (warehouse->repeated) lines.push_back({"orders", key, "rows", "1", "2 or more"});
  for (std::size_t i = 0; i < kOrderColumns; ++i) {
    if (store->columns[i] != warehouse->columns[i])
      lines.push_back({"orders", key, std::string(kOrderColumnNames[i]), shown(store->columns[i]),
                       shown(warehouse->columns[i])});
  }
}

void describe_view(const View& view, const Key& key, const ViewRow* store, const ViewRow* warehouse,
                   std::vector<Difference>& lines) {
  const std::string table(view.name);
  const std::string text = key_text(view, key);
  if (store == nullptr || warehouse == nullptr) {
    const auto sums = [&](const ViewRow* row) {
      if (row == nullptr) return std::string(kMissing);
      std::string all;
      for (std::size_t i = 0; i < view.measures.size(); ++i)
        all += fmt::format("{}{} {}", i == 0 ? "" : ", ", view.measures[i].column,
                           decimal_text(row->measures[i], view.measures[i].scale));
      return all;
    };
    lines.push_back({table, text, "", sums(store), sums(warehouse)});
    return;
  }
  if (warehouse->repeated) lines.push_back({table, text, "rows", "1", "2 or more"});
  for (std::size_t i = 0; i < view.measures.size(); ++i) {
    if (store->measures[i] == warehouse->measures[i]) continue;
    const Measure& measure = view.measures[i];
    lines.push_back({table, text, std::string(measure.column),
                     decimal_text(store->measures[i], measure.scale),
                     decimal_text(warehouse->measures[i], measure.scale)});
  }
  if (view.has_average) {
    const Int128 right = average_of(view, store->measures);
    if (!warehouse->average || *warehouse->average != right)
      lines.push_back({table, text, "avg_order_value", decimal_text(right, 2),
                       warehouse->average ? decimal_text(*warehouse->average, 2) : "NULL"});
  }
}

/// What one table has come to: its numbers, and the rows to be checked again with their latest verdict.
template <class KeyType>
struct Table {
  TableReport report;
  std::map<KeyType, Verdict> candidates;
  std::uint64_t overflow = 0;  ///< Rows that differed and found no place among the candidates.
  std::vector<Difference> lines;
};

/// Merged rows of one chunk, before they count: a chunk that has to be read again must leave no trace.
template <class KeyType>
struct ChunkOutcome {
  std::uint64_t compared = 0;
  std::uint64_t overflow = 0;
  std::vector<KeyType> differing;
};

class Verification {
 public:
  Verification(ports::SqlReader& reader, ports::Warehouse& warehouse, const VerifyOptions& options,
               const std::function<void(const VerifyProgress&)>& progress)
      : reader_(reader), warehouse_(warehouse), options_(options), progress_(progress) {
    orders_.report.name = "orders";
    for (const View& view : all_views()) table_of(view).report.name = view.name;
  }

  Result<VerifyReport> run() {
    const auto start = Clock::now();
    MILLRACE_TRY(retrying([&] { return warehouse_.ping(Deadline::in(kOpenTimeout)); }));
    MILLRACE_TRY(retrying([&] { return note_outbox_floor(); }));
    MILLRACE_TRY(timed(orders_.report, [&] { return compare_orders(); }));
    for (const View& view : all_views()) {
      MILLRACE_TRY(timed(table_of(view).report, [&] { return compare_view(view); }));
      // Much traffic during a long pass: a view that outgrew its candidates gets a second pass from a
      // snapshot of its own.
      if (table_of(view).overflow > 0) {
        snapshot_.reset();
        MILLRACE_TRY(timed(table_of(view).report, [&] { return compare_view(view); }));
      }
    }
    snapshot_.reset();
    MILLRACE_TRY(check_again());

    VerifyReport report;
    report.rounds = rounds_;
    conclude(orders_, report);
    for (const View& view : all_views()) conclude(table_of(view), report);
    report.spent = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
    return report;
  }

 private:
  using OrderTable = Table<std::string>;
  using ViewTable = Table<Key>;

  // ---- waiting, stopping, retrying

  [[nodiscard]] Deadline statement_deadline() const { return Deadline::in(options_.statement_timeout); }
  [[nodiscard]] bool stopped() const { return options_.stop != nullptr && options_.stop->requested(); }

  Result<void> check_stop() const {
    if (stopped()) return base::unavailable("the verification was stopped before it had an answer");
    return {};
  }

  Result<void> pause(milliseconds span) const {
    static const base::StopSignal never;
    (options_.stop != nullptr ? *options_.stop : never).wait_for(span);
    return check_stop();
  }

  /// Repeats `attempt` while a dependency is away, for `patience` from its first failure. Snapshots do not
  /// outlive a failure.
  template <class Attempt>
  Result<void> retrying(Attempt attempt) {
    base::Backoff backoff(kRetryFirst, kRetryLongest);
    std::optional<Deadline> deadline;
    while (true) {
      Result<void> outcome = check_stop();
      if (outcome) outcome = attempt();
      if (outcome || outcome.error().kind != ErrorKind::kUnavailable || gave_up_ || stopped()) return outcome;
      if (!deadline) deadline = Deadline::in(options_.patience);
      const milliseconds span = backoff.next();
      if (span > deadline->left()) {
        gave_up_ = true;
        return outcome;
      }
      MILLRACE_TRY(pause(span));
    }
  }

  Result<void> note_outbox_floor() {
    MILLRACE_TRY(ensure_snapshot());
    MILLRACE_TRY_ASSIGN(const std::uint64_t last,
                        from_snapshot(read_outbox_last_id(*snapshot_, statement_deadline())));
    outbox_floor_ = last - std::min(last, options_.outbox_margin);
    return {};
  }

  Result<void> ensure_snapshot() {
    if (snapshot_) return {};
    MILLRACE_TRY_ASSIGN(snapshot_, reader_.open_snapshot(Deadline::in(kOpenTimeout)));
    return {};
  }

  /// A failed read may have ended the transaction: the next attempt takes a new snapshot.
  template <class Value>
  Result<Value> from_snapshot(Result<Value> outcome) {
    if (!outcome) snapshot_.reset();
    return outcome;
  }

  template <class Work>
  Result<void> timed(TableReport& report, Work work) {
    const auto start = Clock::now();
    const Result<void> outcome = work();
    report.spent += std::chrono::duration_cast<milliseconds>(Clock::now() - start);
    return outcome;
  }

  void tell(std::string_view doing, std::uint64_t rows) const {
    if (!progress_) return;
    std::uint64_t candidates = orders_.candidates.size();
    for (const ViewTable& table : views_) candidates += table.candidates.size();
    progress_({.doing = std::string(doing), .rows = rows, .candidates = candidates});
  }

  ViewTable& table_of(const View& view) { return views_[static_cast<std::size_t>(view.id)]; }

  // ---- the pass over everything

  template <class KeyType>
  void count(Table<KeyType>& table, ChunkOutcome<KeyType>&& outcome) {
    table.report.compared += outcome.compared;
    table.overflow += outcome.overflow;
    for (KeyType& key : outcome.differing) {
      if (table.candidates.size() < options_.candidates_max) {
        table.candidates.emplace(std::move(key), Verdict::kLagging);
      } else {
        ++table.overflow;
      }
    }
  }

  template <class Row, class KeyType, class Equal, class Stream>
  Result<void> compare_chunk(std::span<const Row> store, Table<KeyType>& table, Equal equal, Stream stream) {
    ChunkOutcome<KeyType> outcome;
    const auto attempt = [&]() -> Result<void> {
      outcome = {};
      std::uint64_t since_stop_check = 0;
      ChunkMerge<Row> merge(store, [&](const Row* left, const Row* right) {
        ++outcome.compared;
        if (equal(left, right)) return;
        if (outcome.differing.size() < options_.candidates_max) {
          outcome.differing.push_back(key_of(left != nullptr ? *left : *right));
        } else {
          ++outcome.overflow;
        }
      });
      const auto on_row = [&](Row row) -> Result<void> {
        if (++since_stop_check % 4096 == 0) {
          MILLRACE_TRY(check_stop());
        }
        return merge.push(std::move(row));
      };
      MILLRACE_TRY(stream(on_row));
      merge.finish();
      return {};
    };
    MILLRACE_TRY(retrying(attempt));
    count(table, std::move(outcome));
    tell(table.report.name, table.report.compared);
    return {};
  }

  Result<void> compare_orders() {
    std::string after;
    bool fresh = true;  // The snapshot is new: nothing was read from it yet.
    std::unique_ptr<ports::SqlSnapshot>
        first_snapshot;  // Kept for the views while the newest orders are compared.
    while (true) {
      OrderPage page;
      const auto read_page = [&]() -> Result<void> {
        MILLRACE_TRY(ensure_snapshot());
        MILLRACE_TRY_ASSIGN(page,
                            from_snapshot(read_orders_after(*snapshot_, after, options_.chunk_rows,
                                                            options_.purge_after, statement_deadline())));
        return {};
      };
      MILLRACE_TRY(retrying(read_page));
      // New orders sort last: a last page from an old snapshot would call all of a long run's new orders
      // extra. So the end is looked at with a fresh one.
      const bool end = page.last && fresh;
      if (end || !page.rows.empty()) {
        std::optional<std::string> up_to;
        if (!end) up_to = page.rows.back().id;
        MILLRACE_TRY(compare_chunk(std::span<const OrderRow>(page.rows), orders_, orders_equal,
                                   [&](const std::function<Result<void>(OrderRow)>& on_row) {
                                     return stream_orders(warehouse_, after, up_to, on_row,
                                                          statement_deadline());
                                   }));
        if (end) break;
        after = *up_to;
      }
      fresh = page.last;
      if (page.last && !first_snapshot) first_snapshot = std::move(snapshot_);
      if (page.last) snapshot_.reset();
      if (orders_.candidates.size() >= thin_out_at_) MILLRACE_TRY(thin_out_orders());
    }
    if (first_snapshot) snapshot_ = std::move(first_snapshot);
    return {};
  }

  /// Drops the candidates that agree by now: with traffic most of them were only newer than the snapshot.
  Result<void> thin_out_orders() {
    return retrying([&]() -> Result<void> {
      MILLRACE_TRY_ASSIGN(const auto fresh, reader_.open_snapshot(Deadline::in(kOpenTimeout)));
      const std::vector<std::string> ids = keys_of(orders_.candidates);
      MILLRACE_TRY_ASSIGN(const OrderMap store,
                          read_orders(*fresh, ids, options_.purge_after, statement_deadline()));
      MILLRACE_TRY_ASSIGN(const OrderMap shown_rows, read_orders(warehouse_, ids, statement_deadline()));
      for (const std::string& id : ids) {
        if (orders_equal(find(store, id), find(shown_rows, id))) orders_.candidates.erase(id);
      }
      // What stays is likely to be wrong; looking at it again and again would only take time.
      thin_out_at_ = std::max(thin_out_at_, orders_.candidates.size() * 2);
      return {};
    });
  }

  Result<void> compare_view(const View& view) {
    ViewTable& table = table_of(view);
    return retrying([&]() -> Result<void> {
      table.report.compared = 0;
      table.overflow = 0;
      table.candidates.clear();
      MILLRACE_TRY(ensure_snapshot());
      std::vector<ViewRow> chunk;
      std::optional<Key> after;
      const auto compare = [&](bool last) -> Result<void> {
        std::optional<Key> up_to;
        if (!last) up_to = chunk.back().key;
        MILLRACE_TRY(compare_chunk(
            std::span<const ViewRow>(chunk), table,
            [&](const ViewRow* store, const ViewRow* row) { return views_equal(view, store, row); },
            [&](const std::function<Result<void>(ViewRow)>& on_row) {
              return stream_view(warehouse_, view, after, up_to, on_row, statement_deadline());
            }));
        after = up_to;
        chunk.clear();
        return {};
      };
      const auto on_row = [&](ViewRow row) -> Result<void> {
        MILLRACE_TRY(check_stop());
        if (chunk.size() == options_.chunk_rows) MILLRACE_TRY(compare(false));
        chunk.push_back(std::move(row));
        return {};
      };
      MILLRACE_TRY(from_snapshot(stream_view(*snapshot_, view, on_row, statement_deadline())));
      return compare(true);
    });
  }

  // ---- checking candidates again

  template <class KeyType, class Value>
  static std::vector<KeyType> keys_of(const std::map<KeyType, Value>& map) {
    std::vector<KeyType> keys;
    keys.reserve(map.size());
    for (const auto& [key, value] : map) keys.push_back(key);
    return keys;
  }

  [[nodiscard]] bool has_candidates() const {
    return !orders_.candidates.empty() ||
           std::ranges::any_of(views_, [](const ViewTable& table) { return !table.candidates.empty(); });
  }
  [[nodiscard]] bool has_view_candidates() const {
    return std::ranges::any_of(views_, [](const ViewTable& table) { return !table.candidates.empty(); });
  }

  Result<void> check_again() {
    const Deadline deadline = Deadline::in(options_.patience);
    base::Backoff pauses(options_.recheck_pause, options_.recheck_pause * kRoundPausesGrowTo);
    milliseconds settle = kSettleFirst;
    while (has_candidates()) {
      if (rounds_ > 0) {
        if (deadline.passed() && rounds_ >= kRoundsMin) break;
        MILLRACE_TRY(pause(pauses.next()));
      }
      tell("checking again", rounds_ + 1);
      MILLRACE_TRY(retrying([&] { return one_round(deadline, settle); }));
      settle = std::min(settle * 2, kSettleLongest);
      ++rounds_;
    }
    return {};
  }

  /// Everything that a round knows; see judge.h for A, W and B.
  struct Round {
    OrderMap orders_a, orders_w, orders_b;
    std::array<ViewMap, kViews> views_a, views_w;
    std::array<std::map<std::string, std::set<Key>>, kViews> days;  ///< The candidates of each view by day.
    std::array<std::set<Key>, kViews> keys;
    std::set<std::string> lagging_days;
    bool all_lagging = false;
    std::uint64_t outbox_floor = 0;  ///< Rows above this may be new in B.
    std::unordered_set<std::uint64_t> outbox_seen;
  };

  Result<void> one_round(Deadline deadline, milliseconds settle) {
    Round round;
    for (const View& view : all_views()) {
      const auto index = static_cast<std::size_t>(view.id);
      for (const auto& [key, verdict] : views_[index].candidates) {
        round.days[index][std::string(day_of(view, key))].insert(key);
        round.keys[index].insert(key);
      }
    }
    const std::vector<std::string> ids = keys_of(orders_.candidates);
    OutboxTail tail;
    MILLRACE_TRY(read_a(round, ids, tail));
    const bool traffic = !tail.orders.empty();
    if (has_view_candidates()) {
      MILLRACE_TRY(wait_for_arrival(tail, deadline));
      if (traffic) MILLRACE_TRY(pause(settle));
      for (const auto& [id, order] : tail.orders) round.lagging_days.insert(order.day);
      round.all_lagging = tail.cut;
    }
    MILLRACE_TRY(read_w(round, ids));
    return read_b_and_judge(round, ids);
  }

  Result<void> read_a(Round& round, const std::vector<std::string>& ids, OutboxTail& tail) {
    MILLRACE_TRY_ASSIGN(const auto a, reader_.open_snapshot(Deadline::in(kOpenTimeout)));
    MILLRACE_TRY_ASSIGN(round.orders_a, read_orders(*a, ids, options_.purge_after, statement_deadline()));
    if (!has_view_candidates()) return {};
    MILLRACE_TRY_ASSIGN(tail, read_outbox_tail(*a, outbox_floor_, kTailRowsMax, statement_deadline()));
    MILLRACE_TRY_ASSIGN(const std::uint64_t last, read_outbox_last_id(*a, statement_deadline()));
    round.outbox_floor = last - std::min(last, options_.outbox_margin);
    MILLRACE_TRY_ASSIGN(round.outbox_seen, read_outbox_ids(*a, round.outbox_floor, statement_deadline()));
    for (const View& view : all_views()) {
      const auto index = static_cast<std::size_t>(view.id);
      for (const auto& [day, keys] : round.days[index]) {
        MILLRACE_TRY(check_stop());
        MILLRACE_TRY_ASSIGN(ViewMap rows, read_view_keys(*a, view, day, keys, statement_deadline()));
        round.views_a[index].merge(rows);
      }
    }
    return {};
  }

  /// Waits until the warehouse shows the recent orders of A; leaves those that did not come.
  Result<void> wait_for_arrival(OutboxTail& tail, Deadline deadline) {
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
      MILLRACE_TRY(remove_arrived(warehouse_, tail.orders, statement_deadline()));
      if (tail.orders.empty() || enough.passed()) break;
      MILLRACE_TRY(pause(std::min(backoff.next(), enough.left())));
    }
    if (tail.orders.empty()) {
      const std::uint64_t floor = last_id - std::min(last_id, options_.outbox_margin);
      outbox_floor_ = std::max(outbox_floor_, floor);
    }
    for (const auto& [id, order] : tail.orders) waited.erase(id);
    for (const auto& [id, version] : waited) arrived_[id] = version;
    if (arrived_.size() > 2 * kTailRowsMax) arrived_.clear();
    return {};
  }

  Result<void> read_w(Round& round, const std::vector<std::string>& ids) {
    MILLRACE_TRY_ASSIGN(round.orders_w, read_orders(warehouse_, ids, statement_deadline()));
    for (const View& view : all_views()) {
      const auto index = static_cast<std::size_t>(view.id);
      for (const auto& [day, keys] : round.days[index]) {
        MILLRACE_TRY(check_stop());
        MILLRACE_TRY_ASSIGN(ViewMap rows, read_view_keys(warehouse_, view, day, keys, statement_deadline()));
        round.views_w[index].merge(rows);
      }
    }
    return {};
  }

  Result<void> read_b_and_judge(Round& round, const std::vector<std::string>& ids) {
    MILLRACE_TRY_ASSIGN(const auto b, reader_.open_snapshot(Deadline::in(kOpenTimeout)));
    std::vector<std::string> unequal;
    for (const std::string& id : ids) {
      if (!orders_equal(find(round.orders_a, id), find(round.orders_w, id))) unequal.push_back(id);
    }
    MILLRACE_TRY_ASSIGN(round.orders_b, read_orders(*b, unequal, options_.purge_after, statement_deadline()));
    std::vector<PendingChanges> movements;
    for (const View& view : all_views())
      movements.emplace_back(view, round.keys[static_cast<std::size_t>(view.id)]);
    if (has_view_candidates()) {
      MILLRACE_TRY(stream_changes(
          *b, round.outbox_floor, round.outbox_seen,
          [&](const Change* change) {
            if (change == nullptr) {
              round.all_lagging = true;
              return;
            }
            for (PendingChanges& movement : movements) movement.add(*change);
          },
          statement_deadline()));
    }
    judge_orders(round, ids, unequal);
    for (const View& view : all_views())
      judge_view_keys(round, view, movements[static_cast<std::size_t>(view.id)]);
    return {};
  }

  void judge_orders(Round& round, const std::vector<std::string>& ids,
                    const std::vector<std::string>& unequal) {
    const std::set<std::string> open(unequal.begin(), unequal.end());
    orders_.lines.clear();
    std::size_t described = 0;
    for (const std::string& id : ids) {
      const OrderRow* const a = find(round.orders_a, id);
      const OrderRow* const w = find(round.orders_w, id);
      const OrderRow* const b = open.contains(id) ? find(round.orders_b, id) : a;
      const Verdict verdict = judge_order(a, w, b);
      if (verdict == Verdict::kEqual) {
        orders_.candidates.erase(id);
        continue;
      }
      orders_.candidates[id] = verdict;
      if (verdict == Verdict::kLagging && a != nullptr) round.lagging_days.insert(a->day());
      if (verdict != Verdict::kMoving && described++ < options_.differences_shown_max)
        describe_order(id, b, w, orders_.lines);
    }
  }

  void judge_view_keys(const Round& round, const View& view, const PendingChanges& movements) {
    const auto index = static_cast<std::size_t>(view.id);
    ViewTable& table = views_[index];
    table.lines.clear();
    std::size_t described = 0;
    for (const Key& key : round.keys[index]) {
      const ViewRow* const a = find(round.views_a[index], key);
      const ViewRow* const w = find(round.views_w[index], key);
      const bool lagging = round.all_lagging || round.lagging_days.contains(std::string(day_of(view, key)));
      const Verdict verdict = judge_view(view, a, w, movements.of(key), lagging);
      if (verdict == Verdict::kEqual) {
        table.candidates.erase(key);
        continue;
      }
      table.candidates[key] = verdict;
      if (verdict != Verdict::kMoving && described++ < options_.differences_shown_max)
        describe_view(view, key, a, w, table.lines);
    }
  }

  // ---- the end

  template <class KeyType>
  void conclude(Table<KeyType>& table, VerifyReport& report) const {
    for (const auto& [key, verdict] : table.candidates)
      ++(verdict == Verdict::kMoving ? table.report.in_flight : table.report.differences);
    table.report.differences += table.overflow;
    table.report.too_many = table.overflow > 0;
    report.tables.push_back(table.report);
    report.differences.insert(report.differences.end(), table.lines.begin(), table.lines.end());
  }

  ports::SqlReader& reader_;
  ports::Warehouse& warehouse_;
  const VerifyOptions& options_;
  const std::function<void(const VerifyProgress&)>& progress_;

  std::unique_ptr<ports::SqlSnapshot> snapshot_;  ///< Of the pass.
  bool gave_up_ = false;
  std::size_t thin_out_at_ = options_.candidates_max / 2;
  OrderTable orders_;
  std::array<ViewTable, kViews> views_;
  std::uint64_t outbox_floor_ =
      0;  ///< All outbox rows up to here were in the warehouse, or were order candidates of the pass.
  std::unordered_map<std::string, std::uint64_t>
      arrived_;  ///< Recent orders that the warehouse showed, with their version.
  std::uint32_t rounds_ = 0;
};

}  // namespace

Result<VerifyReport> verify(ports::SqlReader& reader, ports::Warehouse& warehouse,
                            const VerifyOptions& options,
                            const std::function<void(const VerifyProgress&)>& progress) {
  return Verification(reader, warehouse, options, progress).run();
}

}  // namespace millrace::verify
