#include "verify/first_pass.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "verify/chunk_merge.h"
#include "verify/comparison.h"
#include "verify/store_side.h"
#include "verify/warehouse_side.h"

namespace millrace::verify {
namespace {

using base::Result;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

template <class Work>
Result<void> timed(TableReport& report, Work work) {
  const auto start = Clock::now();
  const Result<void> outcome = work();
  report.spent += std::chrono::duration_cast<milliseconds>(Clock::now() - start);
  return outcome;
}

}  // namespace

/// Merged rows of one chunk, before they count: a chunk that has to be read again must leave no trace.
template <class KeyType>
struct FirstPass::ChunkOutcome {
  std::uint64_t compared = 0;
  std::uint64_t overflow = 0;
  std::vector<KeyType> differing;
};

/// A failed read may have ended the transaction: the next attempt takes a new snapshot.
template <class Value>
Result<Value> FirstPass::from_snapshot(Result<Value> outcome) {
  if (!outcome) snapshot_.reset();
  return outcome;
}

Result<void> FirstPass::note_outbox_floor() {
  MILLRACE_TRY(ensure_snapshot());
  MILLRACE_TRY_ASSIGN(const std::uint64_t last,
                      from_snapshot(read_outbox_last_id(*snapshot_, context_.statement_deadline())));
  context_.outbox_floor = last - std::min(last, context_.options().outbox_margin);
  return {};
}

Result<void> FirstPass::ensure_snapshot() {
  if (snapshot_) return {};
  MILLRACE_TRY_ASSIGN(snapshot_, context_.open_snapshot());
  return {};
}

template <class KeyType>
void FirstPass::count(Table<KeyType>& table, ChunkOutcome<KeyType>&& outcome) {
  table.report.compared += outcome.compared;
  table.overflow += outcome.overflow;
  for (KeyType& key : outcome.differing) {
    if (table.candidates.size() < context_.options().candidates_max) {
      table.candidates.emplace(std::move(key), Verdict::kLagging);
    } else {
      ++table.overflow;
    }
  }
}

template <class Row, class KeyType, class Equal, class Stream>
Result<void> FirstPass::compare_chunk(std::span<const Row> store, Table<KeyType>& table, Equal equal,
                                      Stream stream) {
  ChunkOutcome<KeyType> outcome;
  const auto attempt = [&]() -> Result<void> {
    outcome = {};
    std::uint64_t since_stop_check = 0;
    ChunkMerge<Row> merge(store, [&](const Row* left, const Row* right) {
      ++outcome.compared;
      if (equal(left, right)) return;
      if (outcome.differing.size() < context_.options().candidates_max) {
        outcome.differing.push_back(key_of(left != nullptr ? *left : *right));
      } else {
        ++outcome.overflow;
      }
    });
    const auto on_row = [&](Row row) -> Result<void> {
      if (++since_stop_check % 4096 == 0) {
        MILLRACE_TRY(context_.check_stop());
      }
      return merge.push(std::move(row));
    };
    MILLRACE_TRY(stream(on_row));
    merge.finish();
    return {};
  };
  MILLRACE_TRY(context_.retrying(attempt));
  count(table, std::move(outcome));
  context_.report_progress(table.report.name, table.report.compared, found_.size());
  return {};
}

Result<void> FirstPass::compare_orders() {
  std::string after;
  bool fresh = true;  // The snapshot is new: nothing was read from it yet.
  std::unique_ptr<ports::SqlSnapshot>
      first_snapshot;  // Kept for the views while the newest orders are compared.
  while (true) {
    OrderPage page;
    const auto read_page = [&]() -> Result<void> {
      MILLRACE_TRY(ensure_snapshot());
      MILLRACE_TRY_ASSIGN(page, from_snapshot(read_orders_after(
                                    *snapshot_, after, context_.options().chunk_rows,
                                    context_.options().purge_after, context_.statement_deadline())));
      return {};
    };
    MILLRACE_TRY(context_.retrying(read_page));
    // New orders sort last: a last page from an old snapshot would call all of a long run's new orders
    // extra. So the end is looked at with a fresh one.
    const bool end = page.last && fresh;
    if (end || !page.rows.empty()) {
      std::optional<std::string> up_to;
      if (!end) up_to = page.rows.back().id;
      MILLRACE_TRY(compare_chunk(std::span<const OrderRow>(page.rows), found_.orders, orders_equal,
                                 [&](const std::function<Result<void>(OrderRow)>& on_row) {
                                   return stream_orders(context_.warehouse(), after, up_to, on_row,
                                                        context_.statement_deadline());
                                 }));
      if (end) break;
      after = *up_to;
    }
    fresh = page.last;
    if (page.last && !first_snapshot) first_snapshot = std::move(snapshot_);
    if (page.last) snapshot_.reset();
    if (found_.orders.candidates.size() >= thin_out_at_) MILLRACE_TRY(thin_out_orders());
  }
  if (first_snapshot) snapshot_ = std::move(first_snapshot);
  return {};
}

/// Drops the candidates that agree by now: with traffic most of them were only newer than the snapshot.
Result<void> FirstPass::thin_out_orders() {
  return context_.retrying([&]() -> Result<void> {
    MILLRACE_TRY_ASSIGN(const auto fresh, context_.open_snapshot());
    const std::vector<std::string> ids = keys_of(found_.orders.candidates);
    MILLRACE_TRY_ASSIGN(const OrderMap store, read_orders(*fresh, ids, context_.options().purge_after,
                                                          context_.statement_deadline()));
    MILLRACE_TRY_ASSIGN(const OrderMap shown_rows,
                        read_orders(context_.warehouse(), ids, context_.statement_deadline()));
    for (const std::string& id : ids) {
      if (orders_equal(find(store, id), find(shown_rows, id))) found_.orders.candidates.erase(id);
    }
    // What stays is likely to be wrong; looking at it again and again would only take time.
    thin_out_at_ = std::max(thin_out_at_, found_.orders.candidates.size() * 2);
    return {};
  });
}

Result<void> FirstPass::compare_view(const View& view) {
  ViewTable& table = found_.of(view);
  return context_.retrying([&]() -> Result<void> {
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
            return stream_view(context_.warehouse(), view, after, up_to, on_row,
                               context_.statement_deadline());
          }));
      after = up_to;
      chunk.clear();
      return {};
    };
    const auto on_row = [&](ViewRow row) -> Result<void> {
      MILLRACE_TRY(context_.check_stop());
      if (chunk.size() == context_.options().chunk_rows) MILLRACE_TRY(compare(false));
      chunk.push_back(std::move(row));
      return {};
    };
    MILLRACE_TRY(from_snapshot(stream_view(*snapshot_, view, on_row, context_.statement_deadline())));
    return compare(true);
  });
}

Result<void> FirstPass::run() {
  MILLRACE_TRY(context_.retrying([&] { return note_outbox_floor(); }));
  MILLRACE_TRY(timed(found_.orders.report, [&] { return compare_orders(); }));
  for (const View& view : all_views()) {
    MILLRACE_TRY(timed(found_.of(view).report, [&] { return compare_view(view); }));
    // Much traffic during a long pass: a view that outgrew its candidates gets a second pass from a snapshot
    // of its own.
    if (found_.of(view).overflow > 0) {
      snapshot_.reset();
      MILLRACE_TRY(timed(found_.of(view).report, [&] { return compare_view(view); }));
    }
  }
  snapshot_.reset();
  return {};
}

}  // namespace millrace::verify
