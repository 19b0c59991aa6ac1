#include "verify/store_side.h"

#include <fmt/format.h>

#include "base/text.h"
#include "base/utc_time.h"
#include "verify/store_change.h"

namespace millrace::verify {
namespace {

using base::Deadline;
using base::Result;
using ports::SqlRow;
using ports::SqlSnapshot;

/// So many values in one IN list, and so many texts to narrow a view's recheck; more go in further statements
/// or are not narrowed.
constexpr std::size_t kListMax = 500;
constexpr std::size_t kNarrowMax = 200;

/// The columns of kOrderColumnNames, and whether the order may be gone from the warehouse. Of several
/// payments the latest counts; an order without one is as the order service reads it.
constexpr std::string_view kSelectOrder =
    "SELECT o.id, o.user_id, o.user_email, DATE_FORMAT(o.created_at, '%Y-%m-%d %H:%i:%s'), o.total_amount,"
    " (SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i WHERE i.order_id = o.id), o.status,"
    " COALESCE((SELECT p.method FROM payments p WHERE p.order_id = o.id ORDER BY p.created_at DESC, p.id "
    "DESC "
    "LIMIT 1), 'CREDIT_CARD'),"
    " COALESCE((SELECT p.status FROM payments p WHERE p.order_id = o.id ORDER BY p.created_at DESC, p.id "
    "DESC "
    "LIMIT 1), 'PENDING'),"
    " o.version, o.deleted_at IS NOT NULL, DATE_FORMAT(o.deleted_at, '%Y-%m-%d %H:%i:%s'),"
    " o.deleted_at IS NOT NULL AND o.deleted_at < UTC_TIMESTAMP() - INTERVAL ? SECOND"
    " FROM orders o";
constexpr std::size_t kSelectOrderFields = kOrderColumns + 2;

Result<OrderRow> read_order(SqlRow fields) {
  if (fields.size() != kSelectOrderFields)
    return base::invalid("MySQL gave an order row of another width than asked for");
  MILLRACE_TRY_ASSIGN(OrderRow row, read_order_row(fields));
  row.may_be_purged = fields.back() == "1";
  return row;
}

std::string placeholders(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += i == 0 ? "?" : ", ?";
  return text;
}

Result<std::string> day_after(const std::string& day) {
  MILLRACE_TRY_ASSIGN(const std::chrono::sys_days date, base::parse_date(day));
  return base::to_date(date + std::chrono::days(1));
}

Result<std::uint64_t> number(const std::optional<std::string_view>& field, std::string_view what) {
  const auto value = base::parse_int<std::uint64_t>(field.value_or("0"));
  if (!value) return base::invalid(fmt::format("MySQL gave a {} that is no whole number", what));
  return *value;
}

}  // namespace

Result<OrderPage> read_orders_after(SqlSnapshot& snapshot, const std::string& after_id, std::size_t rows_max,
                                    std::chrono::seconds purge_after, Deadline deadline) {
  const std::string statement =
      fmt::format("{} WHERE o.id > ? ORDER BY o.id LIMIT {}", kSelectOrder, rows_max);
  const std::vector<std::string> parameters = {std::to_string(purge_after.count()), after_id};
  OrderPage page;
  MILLRACE_TRY(snapshot.read(
      statement, parameters,
      [&](SqlRow fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(OrderRow row, read_order(fields));
        const std::string& previous = page.rows.empty() ? after_id : page.rows.back().id;
        if (row.id <= previous)
          return base::fatal(fmt::format(
              "MySQL does not sort order ids byte by byte ({} came after {}), so they cannot be compared",
              base::printable(row.id, 80), base::printable(previous, 80)));
        page.rows.push_back(std::move(row));
        return {};
      },
      deadline));
  page.last = page.rows.size() < rows_max;
  return page;
}

Result<OrderMap> read_orders(SqlSnapshot& snapshot, const std::vector<std::string>& ids,
                             std::chrono::seconds purge_after, Deadline deadline) {
  OrderMap found;
  for (std::size_t at = 0; at < ids.size(); at += kListMax) {
    const std::size_t count = std::min(kListMax, ids.size() - at);
    const std::string statement = fmt::format("{} WHERE o.id IN ({})", kSelectOrder, placeholders(count));
    std::vector<std::string> parameters = {std::to_string(purge_after.count())};
    for (std::size_t i = 0; i < count; ++i) parameters.push_back(ids[at + i]);
    MILLRACE_TRY(snapshot.read(
        statement, parameters,
        [&](SqlRow fields) -> Result<void> {
          MILLRACE_TRY_ASSIGN(OrderRow row, read_order(fields));
          std::string id = row.id;
          found.insert_or_assign(std::move(id), std::move(row));
          return {};
        },
        deadline));
  }
  return found;
}

Result<void> stream_view(SqlSnapshot& snapshot, const View& view,
                         const std::function<Result<void>(ViewRow)>& on_row, Deadline deadline) {
  std::optional<Key> previous;
  return snapshot.read(
      fmt::format("{}{}", view.store_select, view.store_group), {},
      [&](SqlRow fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(ViewRow row, read_view_row(view, fields, false));
        if (previous && !(*previous < row.key))
          return base::fatal(fmt::format(
              "MySQL does not sort the keys of {} byte by byte, so they cannot be compared", view.name));
        previous = row.key;
        return on_row(std::move(row));
      },
      deadline);
}

Result<ViewMap> read_view_keys(SqlSnapshot& snapshot, const View& view, const std::string& day,
                               const std::set<Key>& keys, Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string next_day, day_after(day));
  std::string statement = fmt::format("{} AND o.created_at >= ? AND o.created_at < ?", view.store_select);
  std::vector<std::string> parameters = {day, next_day};
  if (!view.narrow_column.empty()) {
    std::set<std::string> texts;
    for (const Key& key : keys) texts.insert(key[view.narrow_part]);
    if (texts.size() <= kNarrowMax) {
      statement += fmt::format(" AND {} IN ({})", view.narrow_column, placeholders(texts.size()));
      parameters.insert(parameters.end(), texts.begin(), texts.end());
    }
  }
  statement += view.store_group;
  ViewMap found;
  MILLRACE_TRY(snapshot.read(
      statement, parameters,
      [&](SqlRow fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(ViewRow row, read_view_row(view, fields, false));
        if (keys.contains(row.key)) {
          Key key = row.key;
          found.insert_or_assign(std::move(key), std::move(row));
        }
        return {};
      },
      deadline));
  return found;
}

Result<std::uint64_t> read_outbox_last_id(SqlSnapshot& snapshot, Deadline deadline) {
  std::uint64_t last = 0;
  MILLRACE_TRY(snapshot.read(
      "SELECT MAX(id) FROM outbox", {},
      [&](SqlRow fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(last, number(fields[0], "outbox id"));
        return {};
      },
      deadline));
  return last;
}

Result<OutboxTail> read_outbox_tail(SqlSnapshot& snapshot, std::uint64_t after_id, std::size_t rows_max,
                                    Deadline deadline) {
  OutboxTail tail;
  const std::vector<std::string> bounds = {std::to_string(after_id)};
  std::uint64_t rows = 0;
  MILLRACE_TRY(snapshot.read(
      fmt::format(
          "SELECT MAX(t.id), COUNT(*) FROM (SELECT id FROM outbox WHERE id > ? ORDER BY id LIMIT {}) t",
          rows_max),
      bounds,
      [&](SqlRow fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(tail.last_id, number(fields[0], "outbox id"));
        MILLRACE_TRY_ASSIGN(rows, number(fields[1], "count"));
        return {};
      },
      deadline));
  tail.last_id = std::max(tail.last_id, after_id);
  tail.cut = rows == rows_max;
  if (rows == 0) return tail;
  const std::vector<std::string> range = {std::to_string(after_id), std::to_string(tail.last_id)};
  MILLRACE_TRY(snapshot.read(
      "SELECT o.id, o.version, DATE_FORMAT(o.created_at, '%Y-%m-%d')"
      " FROM (SELECT DISTINCT aggregate_id FROM outbox WHERE id > ? AND id <= ?) t JOIN orders o ON o.id = "
      "t.aggregate_id",
      range,
      [&](SqlRow fields) -> Result<void> {
        RecentOrder order;
        MILLRACE_TRY_ASSIGN(order.version, number(fields[1], "version"));
        order.day = fields[2].value_or("");
        tail.orders.insert_or_assign(std::string(fields[0].value_or("")), std::move(order));
        return {};
      },
      deadline));
  return tail;
}

Result<std::unordered_set<std::uint64_t>> read_outbox_ids(SqlSnapshot& snapshot, std::uint64_t after_id,
                                                          Deadline deadline) {
  std::unordered_set<std::uint64_t> ids;
  const std::vector<std::string> parameters = {std::to_string(after_id)};
  MILLRACE_TRY(snapshot.read(
      "SELECT id FROM outbox WHERE id > ?", parameters,
      [&](SqlRow fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(const std::uint64_t id, number(fields[0], "outbox id"));
        ids.insert(id);
        return {};
      },
      deadline));
  return ids;
}

Result<void> stream_changes(SqlSnapshot& snapshot, std::uint64_t after_id,
                            const std::unordered_set<std::uint64_t>& seen,
                            const std::function<void(const Change*)>& on_change, Deadline deadline) {
  const std::vector<std::string> parameters = {std::to_string(after_id)};
  return snapshot.read(
      "SELECT x.id, x.aggregate_id, x.payload FROM outbox x WHERE x.id > ? AND x.aggregate_type = 'Order' "
      "ORDER BY x.id",
      parameters,
      [&](SqlRow fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(const std::uint64_t id, number(fields[0], "outbox id"));
        if (seen.contains(id)) return {};
        const auto change = read_change(fields[1].value_or(""), fields[2].value_or(""));
        on_change(change ? &*change : nullptr);
        return {};
      },
      deadline);
}

}  // namespace millrace::verify
