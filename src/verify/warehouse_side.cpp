#include "verify/warehouse_side.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "base/tsv.h"

namespace millrace::verify {
namespace {

using base::Deadline;
using base::Result;
using ports::QueryParameter;
using ports::Warehouse;
using Fields = std::span<const std::optional<std::string_view>>;

/// Ids or texts in one list. As hexadecimal text in the request's target they must stay below 8 KiB, the
/// least that HTTP servers take there (RFC 9110, section 4.1). A comma ends every value, so each list also
/// names the empty text, which does no harm.
constexpr std::size_t kListBytesMax = 6'000;

std::string hex(std::string_view text) {
  std::string digits;
  digits.reserve(text.size() * 2);
  for (const char c : text)
    fmt::format_to(std::back_inserter(digits), "{:02x}", static_cast<unsigned char>(c));
  return digits;
}

constexpr std::string_view kSelectOrder =
    "SELECT order_id, user_id, user_email, toString(order_date, 'UTC'), total_amount, items_count, status, "
    "payment_method,"
    " payment_status, version, is_deleted, toString(deleted_at, 'UTC') FROM analytics.orders_analytics FINAL";

/// Runs a SELECT and reads its rows.
Result<void> select_rows(Warehouse& warehouse, std::string_view statement,
                         std::span<const QueryParameter> parameters, std::size_t width,
                         const std::function<Result<void>(Fields)>& on_row, Deadline deadline) {
  base::TsvReader reader([&](Fields fields) -> Result<void> {
    // An error in the middle of a good answer comes as text in its place; asking again is the way to find
    // out.
    if (fields.size() != width)
      return base::unavailable(
          fmt::format("the warehouse's answer broke off: {}", base::printable(fields[0].value_or(""), 300)));
    return on_row(fields);
  });
  MILLRACE_TRY(warehouse.query_stream(
      statement, "TabSeparated", parameters, [&](std::string_view piece) { return reader.feed(piece); },
      deadline));
  return reader.finish();
}

std::string select_of(const View& view) {
  std::string text = "SELECT ";
  for (const KeyPart& part : view.key)
    text += part.kind == KeyKind::kText  ? fmt::format("{}, ", part.column)
            : part.kind == KeyKind::kDay ? fmt::format("toString({}), ", part.column)
                                         : fmt::format("toString({}, 'UTC'), ", part.column);
  for (const Measure& measure : view.measures) text += fmt::format("{}, ", measure.column);
  if (view.has_average) text += "avg_order_value, ";
  text.resize(text.size() - 2);
  return text + fmt::format(" FROM analytics.{}", view.name);
}

std::size_t width_of(const View& view) {
  return view.key.size() + view.measures.size() + (view.has_average ? 1U : 0U);
}

std::string columns_of(const View& view) {
  std::string text;
  for (const KeyPart& part : view.key) text += fmt::format("{}{}", text.empty() ? "" : ", ", part.column);
  return text;
}

/// The expression of one bound's part, and its parameter.
std::string bound(const KeyPart& part, const std::string& value, const std::string& name,
                  std::vector<QueryParameter>& parameters) {
  switch (part.kind) {
    case KeyKind::kDay:
      parameters.push_back({name, value});
      return fmt::format("{{{}:Date}}", name);
    case KeyKind::kHour:
      parameters.push_back({name, value});
      return fmt::format("toDateTime({{{}:String}}, 'UTC')", name);
    case KeyKind::kText:
      parameters.push_back({name, hex(value)});
      return fmt::format("unhex({{{}:String}})", name);
  }
  return {};
}

/// "key > bound" or "key <= bound", said twice: on the first column alone, which lets the warehouse skip what
/// lies outside, and on the whole key.
std::string bound_condition(const View& view, const Key& key, bool lower,
                            std::vector<QueryParameter>& parameters) {
  const std::string prefix = lower ? "lo" : "hi";
  std::string tuple;
  for (std::size_t i = 0; i < view.key.size(); ++i)
    tuple += fmt::format("{}{}", i == 0 ? "" : ", ",
                         bound(view.key[i], key[i], fmt::format("{}{}", prefix, i), parameters));
  std::vector<QueryParameter> same;
  const std::string first = bound(view.key[0], key[0], prefix + "0", same);
  if (view.key.size() == 1) return fmt::format("{} {} {}", view.key[0].column, lower ? ">" : "<=", first);
  return fmt::format("{} {} {} AND ({}) {} ({})", view.key[0].column, lower ? ">=" : "<=", first,
                     columns_of(view), lower ? ">" : "<=", tuple);
}

template <class Map, class Row>
void keep(Map& map, Row row) {
  auto key = key_of(row);
  const auto [at, fresh] = map.try_emplace(std::move(key), std::move(row));
  if (!fresh) at->second.repeated = true;
}

}  // namespace

Result<void> stream_orders(Warehouse& warehouse, const std::string& after_id,
                           const std::optional<std::string>& up_to_id,
                           const std::function<Result<void>(OrderRow)>& on_row, Deadline deadline) {
  std::string statement = fmt::format("{} WHERE order_id > unhex({{lo:String}})", kSelectOrder);
  std::vector<QueryParameter> parameters = {{"lo", hex(after_id)}};
  if (up_to_id) {
    statement += " AND order_id <= unhex({hi:String})";
    parameters.push_back({"hi", hex(*up_to_id)});
  }
  statement += " ORDER BY order_id";
  return select_rows(
      warehouse, statement, parameters, kOrderColumns + 1,
      [&](Fields fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(OrderRow row, read_order_row(fields));
        return on_row(std::move(row));
      },
      deadline);
}

Result<OrderMap> read_orders(Warehouse& warehouse, const std::vector<std::string>& ids, Deadline deadline) {
  const std::string statement = fmt::format(
      "{} WHERE order_id IN (SELECT unhex(arrayJoin(splitByChar(',', {{ids:String}}))))", kSelectOrder);
  OrderMap found;
  std::string list;
  for (std::size_t at = 0; at < ids.size();) {
    list.clear();
    for (; at < ids.size() && (list.empty() || list.size() + ids[at].size() * 2 < kListBytesMax); ++at) {
      list += hex(ids[at]) + ',';
    }
    const std::vector<QueryParameter> parameters = {{"ids", list}};
    MILLRACE_TRY(select_rows(
        warehouse, statement, parameters, kOrderColumns + 1,
        [&](Fields fields) -> Result<void> {
          MILLRACE_TRY_ASSIGN(OrderRow row, read_order_row(fields));
          keep(found, std::move(row));
          return {};
        },
        deadline));
  }
  return found;
}

Result<void> stream_view(Warehouse& warehouse, const View& view, const std::optional<Key>& after,
                         const std::optional<Key>& up_to, const std::function<Result<void>(ViewRow)>& on_row,
                         Deadline deadline) {
  std::string statement = select_of(view);
  std::vector<QueryParameter> parameters;
  if (after) statement += " WHERE " + bound_condition(view, *after, true, parameters);
  if (up_to) statement += (after ? " AND " : " WHERE ") + bound_condition(view, *up_to, false, parameters);
  statement += fmt::format(" ORDER BY {}", columns_of(view));
  return select_rows(
      warehouse, statement, parameters, width_of(view),
      [&](Fields fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(ViewRow row, read_view_row(view, fields, true));
        return on_row(std::move(row));
      },
      deadline);
}

Result<ViewMap> read_view_keys(Warehouse& warehouse, const View& view, const std::string& day,
                               const std::set<Key>& keys, Deadline deadline) {
  const KeyPart& day_part = view.key[view.day_part];
  std::string statement = select_of(view);
  std::vector<QueryParameter> parameters = {{"day", day}};
  statement += day_part.kind == KeyKind::kDay ? fmt::format(" WHERE {} = {{day:Date}}", day_part.column)
                                              : fmt::format(
                                                    " WHERE {0} >= toDateTime({{day:Date}}, 'UTC') AND"
                                                    " {0} < toDateTime({{day:Date}}, 'UTC') + INTERVAL 1 DAY",
                                                    day_part.column);
  if (!view.narrow_column.empty()) {
    std::set<std::string> texts;
    for (const Key& key : keys) texts.insert(key[view.narrow_part]);
    std::string list;
    for (const std::string& text : texts) {
      list += hex(text) + ',';
      if (list.size() > kListBytesMax) break;
    }
    if (list.size() <= kListBytesMax) {
      statement += fmt::format(" AND {} IN (SELECT unhex(arrayJoin(splitByChar(',', {{texts:String}}))))",
                               view.key[view.narrow_part].column);
      parameters.push_back({"texts", list});
    }
  }
  ViewMap found;
  MILLRACE_TRY(select_rows(
      warehouse, statement, parameters, width_of(view),
      [&](Fields fields) -> Result<void> {
        MILLRACE_TRY_ASSIGN(ViewRow row, read_view_row(view, fields, true));
        if (keys.contains(row.key)) keep(found, std::move(row));
        return {};
      },
      deadline));
  return found;
}

Result<void> remove_arrived(Warehouse& warehouse, std::unordered_map<std::string, RecentOrder>& waiting,
                            Deadline deadline) {
  if (waiting.empty()) return {};
  std::uint64_t lowest = waiting.begin()->second.version;
  for (const auto& [id, order] : waiting) lowest = std::min(lowest, order.version);
  const std::vector<QueryParameter> parameters = {{"version", std::to_string(lowest)}};
  // Versions are moments in milliseconds, so this reads about what is as recent as the oldest of those that
  // are waited for.
  return select_rows(
      warehouse, "SELECT order_id, version FROM analytics.orders_analytics WHERE version >= {version:UInt64}",
      parameters, 2,
      [&](Fields fields) -> Result<void> {
        const auto version = base::parse_int<std::uint64_t>(fields[1].value_or(""));
        if (!version) return base::unavailable("the warehouse gave a version that is no whole number");
        const auto found = waiting.find(std::string(fields[0].value_or("")));
        if (found != waiting.end() && *version >= found->second.version) waiting.erase(found);
        return {};
      },
      deadline);
}

}  // namespace millrace::verify
