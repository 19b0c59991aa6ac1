#include "sink/base_rows.h"

#include <algorithm>
#include <set>

#include "base/scheduler.h"

namespace millrace::sink {

/// By the warehouse's clock, as it was read when the position was, and is again every half of an insert's
/// time: a step of that clock must not give inserts a longer life for long. Taken before the purged orders
/// are looked up, so an insert that did not see a purge's record is dead an insert's time after it was
/// written.
base::Result<base::UtcTime> BaseRows::next_not_after() {
  const auto now = base::monotonic_now();
  if (!warehouse_time_ || now - warehouse_time_read_ > options_.insert_timeout / 2) {
    MILLRACE_TRY_ASSIGN(warehouse_time_, tables_.now(base::Deadline::in(options_.query_timeout)));
    warehouse_time_read_ = base::monotonic_now();
  }
  const auto passed = std::chrono::floor<std::chrono::milliseconds>(std::max(now, warehouse_time_read_) -
                                                                    warehouse_time_read_);
  return *warehouse_time_ + passed + options_.insert_timeout;
}

/// Only old rows are looked up, so an ordinary batch asks nothing.
base::Result<base::UtcTime> BaseRows::prepare(std::vector<const domain::AnalyticsRow*>& rows) {
  MILLRACE_TRY_ASSIGN(const base::UtcTime not_after, next_not_after());
  const std::int64_t old_before = base::to_ms(clock_.now() - options_.purged_check_age);
  std::set<domain::OrderId> orders;
  for (const domain::AnalyticsRow* row : rows)
    if (static_cast<std::int64_t>(row->version) < old_before) orders.insert(row->order_id);
  if (orders.empty()) return not_after;
  const std::vector<domain::OrderId> asked(orders.begin(), orders.end());
  MILLRACE_TRY_ASSIGN(const auto purged,
                      tables_.purged_versions(asked, base::Deadline::in(options_.query_timeout)));
  skipped_ += std::erase_if(rows, [&](const domain::AnalyticsRow* row) {
    const auto found = purged.find(row->order_id);
    return found != purged.end() && row->version <= found->second;
  });
  return not_after;
}

base::Result<void> BaseRows::insert(std::span<const domain::AnalyticsRow* const> rows,
                                    base::UtcTime not_after, base::Deadline deadline) {
  if (rows.empty()) return {};
  return tables_.insert_base(rows, clock_.now(), not_after, deadline);
}

base::Result<std::vector<RefusedRow>> BaseRows::insert_what_fits(
    std::vector<const domain::AnalyticsRow*> rows, const base::StopSignal& stop) {
  const auto insert_some = [&](std::vector<const domain::AnalyticsRow*> part) -> base::Result<void> {
    if (stop.requested()) return base::unavailable("stopped while looking for rows to leave out");
    MILLRACE_TRY_ASSIGN(const base::UtcTime not_after, prepare(part));
    return insert(part, not_after, base::Deadline::in(options_.insert_timeout));
  };
  MILLRACE_TRY_ASSIGN(const base::UtcTime not_after, prepare(rows));
  auto inserted = insert(rows, not_after, base::Deadline::in(options_.insert_timeout));
  if (inserted) return std::vector<RefusedRow>();
  if (inserted.error().kind != base::ErrorKind::kRejected)
    return std::unexpected(std::move(inserted).error());
  return bisect_insert(rows, inserted.error(), insert_some);
}

base::Result<void> load_base_row(SinkTables& tables, const ports::Clock& clock,
                                 const domain::AnalyticsRow& row, base::Deadline deadline) {
  // However young the row looks: its letter may have waited for as long as a purge does.
  BaseRows one(tables, clock,
               {.insert_timeout = deadline.left(),
                .query_timeout = deadline.left(),
                .purged_check_age = -std::chrono::hours(24)});
  std::vector<const domain::AnalyticsRow*> rows{&row};
  MILLRACE_TRY_ASSIGN(const base::UtcTime not_after, one.prepare(rows));
  return one.insert(rows, not_after, deadline);
}

}  // namespace millrace::sink
