#include "purge/tables.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/hex.h"
#include "base/text.h"
#include "base/tsv.h"

namespace millrace::purge {
namespace {

// How many orders one statement names: their text travels in the request's address, which millrace-warehouse
// bounds at 128 KiB with the headers.
constexpr std::size_t kOrdersPerStatement = 1'000;

// Ids travel as hexadecimal text, which needs no escaping whatever they hold.
constexpr std::string_view kAnnounce =
    "INSERT INTO analytics.purged_orders (order_id, version) SELECT unhex(p.1), p.2 FROM (SELECT "
    "arrayJoin(arrayZip({orders:Array(String)}, {versions:Array(UInt64)})) AS p)";

// FINAL reads only the orders that have a tombstone at all; the look-up of announced ones likewise.
constexpr std::string_view kDue =
    "SELECT hex(order_id), version FROM analytics.orders_analytics FINAL WHERE is_deleted = 1 AND "
    "deleted_at < toDateTime({before:Int64}, 'UTC') AND version < {version_before:UInt64} AND order_id IN "
    "(SELECT order_id FROM analytics.orders_analytics WHERE is_deleted = 1 AND deleted_at < "
    "toDateTime({before:Int64}, 'UTC')) AND (order_id, version) NOT IN (SELECT order_id, version FROM "
    "analytics.purged_orders WHERE order_id IN (SELECT order_id FROM analytics.orders_analytics WHERE "
    "is_deleted = 1)) LIMIT {orders_max:UInt64}";
constexpr std::string_view kAnnounced =
    "SELECT hex(order_id), version FROM analytics.orders_analytics FINAL WHERE is_deleted = 1 AND order_id "
    "IN (SELECT order_id FROM analytics.orders_analytics WHERE is_deleted = 1) AND (order_id, version) IN "
    "(SELECT order_id, version FROM analytics.purged_orders WHERE order_id IN (SELECT order_id FROM "
    "analytics.orders_analytics WHERE is_deleted = 1) GROUP BY order_id, version HAVING max(purged_at) <= "
    "now64(3) - toIntervalMillisecond({ago:Int64})) LIMIT {orders_max:UInt64}";

// Ordinary mutations, not lightweight deletes: those only mark rows, and what was deleted must be gone from
// the disk. 2: wait until it is done, on replicas too.
// Rows are named one by one, in sets that are made by a subquery: behind IN the engine takes a computed array
// for an array and searches all of it for each row, which took 5 to 20 s for a million rows.
constexpr std::string_view kOtherVersions =
    "SELECT DISTINCT hex(order_id), version FROM analytics.orders_analytics WHERE order_id IN (SELECT "
    "unhex(arrayJoin({orders:Array(String)}))) AND (order_id, version) NOT IN (SELECT unhex(p.1), p.2 FROM "
    "(SELECT arrayJoin(arrayZip({orders:Array(String)}, {versions:Array(UInt64)})) AS p))";
constexpr std::string_view kDeleteRows =
    "ALTER TABLE analytics.orders_analytics DELETE WHERE (order_id, version) IN (SELECT unhex(p.1), p.2 FROM "
    "(SELECT arrayJoin(arrayZip({orders:Array(String)}, {versions:Array(UInt64)})) AS p)) SETTINGS "
    "mutations_sync = 2";

// A deletion that is not waited for any longer goes on in the engine: none is sent behind it.
constexpr std::string_view kUnderWay =
    "SELECT count(), any(latest_fail_reason) FROM system.mutations WHERE "
    "database = 'analytics' AND table = 'orders_analytics' AND NOT is_done";

std::array<ports::QueryParameter, 2> parameters_of(std::span<const DeletedOrder> orders) {
  std::string ids = "[";
  std::string versions = "[";
  for (const DeletedOrder& order : orders) {
    ids += ids.size() == 1 ? "'" : ",'";
    base::append_hex(ids, order.order_id.value());
    ids += '\'';
    fmt::format_to(std::back_inserter(versions), "{}{}", versions.size() == 1 ? "" : ",", order.version);
  }
  return {ports::QueryParameter{"orders", ids + ']'}, ports::QueryParameter{"versions", versions + ']'}};
}

base::Result<void> expect_none_under_way(ports::Warehouse& warehouse, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string answer, warehouse.query(kUnderWay, "TabSeparated", {}, deadline));
  std::optional<std::string> reason;
  MILLRACE_TRY(base::read_tsv(answer, [&](base::TsvFields fields) -> base::Result<void> {
    if (fields.size() == 2 && fields[0] != "0")
      reason = base::printable(base::trim(fields[1].value_or("")), 200);
    return {};
  }));
  if (!reason) return {};
  return base::unavailable(
      fmt::format("the warehouse is still busy with an earlier ALTER of orders_analytics{}{}",
                  reason->empty() ? "" : ", which fails: ", *reason));
}

base::Result<void> execute_in_pieces(ports::Warehouse& warehouse, std::string_view statement,
                                     std::span<const DeletedOrder> orders, base::Deadline deadline) {
  for (std::size_t first = 0; first < orders.size(); first += kOrdersPerStatement) {
    const auto piece = orders.subspan(first, std::min(kOrdersPerStatement, orders.size() - first));
    MILLRACE_TRY(warehouse.execute(statement, parameters_of(piece), deadline));
  }
  return {};
}

}  // namespace

base::Result<std::vector<DeletedOrder>> WarehousePurgeTables::select(
    std::string_view query, std::span<const ports::QueryParameter> parameters, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string answer,
                      warehouse_.query(query, "TabSeparated", parameters, deadline));
  std::vector<DeletedOrder> orders;
  MILLRACE_TRY(base::read_tsv(answer, [&](base::TsvFields fields) -> base::Result<void> {
    auto id = fields.size() == 2 ? base::from_hex(fields[0].value_or("-")) : std::nullopt;
    const auto version = id ? base::parse_int<std::uint64_t>(fields[1].value_or("")) : std::nullopt;
    if (!version) return base::unavailable("the warehouse's answer about deleted orders was cut off");
    orders.push_back({domain::OrderId(std::move(*id)), *version});
    return {};
  }));
  return orders;
}

base::Result<std::vector<DeletedOrder>> WarehousePurgeTables::due(base::UtcTime before,
                                                                  std::size_t orders_max,
                                                                  base::Deadline deadline) {
  const std::array parameters = {ports::QueryParameter{"before", std::to_string(base::to_seconds(before))},
                                 ports::QueryParameter{"version_before", std::to_string(base::to_ms(before))},
                                 ports::QueryParameter{"orders_max", std::to_string(orders_max)}};
  return select(kDue, parameters, deadline);
}

base::Result<std::vector<DeletedOrder>> WarehousePurgeTables::announced(std::chrono::milliseconds ago,
                                                                        std::size_t orders_max,
                                                                        base::Deadline deadline) {
  const std::array parameters = {ports::QueryParameter{"ago", std::to_string(ago.count())},
                                 ports::QueryParameter{"orders_max", std::to_string(orders_max)}};
  return select(kAnnounced, parameters, deadline);
}

base::Result<void> WarehousePurgeTables::announce(std::span<const DeletedOrder> orders,
                                                  base::Deadline deadline) {
  return execute_in_pieces(warehouse_, kAnnounce, orders, deadline);
}

base::Result<void> WarehousePurgeTables::delete_older_versions(std::span<const DeletedOrder> orders,
                                                               base::Deadline deadline) {
  MILLRACE_TRY(expect_none_under_way(warehouse_, deadline));
  std::map<domain::OrderId, std::uint64_t> tombstones;
  for (const DeletedOrder& order : orders) tombstones.emplace(order.order_id, order.version);
  // Nothing is sent when nothing is left: a deletion that took longer than the deadline is not sent again.
  std::vector<DeletedOrder> older;
  for (std::size_t first = 0; first < orders.size(); first += kOrdersPerStatement) {
    const auto piece = orders.subspan(first, std::min(kOrdersPerStatement, orders.size() - first));
    MILLRACE_TRY_ASSIGN(auto others, select(kOtherVersions, parameters_of(piece), deadline));
    std::erase_if(others,
                  [&](const DeletedOrder& row) { return row.version >= tombstones.at(row.order_id); });
    older.insert(older.end(), others.begin(), others.end());
  }
  return execute_in_pieces(warehouse_, kDeleteRows, older, deadline);
}

base::Result<void> WarehousePurgeTables::delete_tombstones(std::span<const DeletedOrder> orders,
                                                           base::Deadline deadline) {
  MILLRACE_TRY(expect_none_under_way(warehouse_, deadline));
  return execute_in_pieces(warehouse_, kDeleteRows, orders, deadline);
}

}  // namespace millrace::purge
