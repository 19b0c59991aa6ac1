#include "sink/tables.h"

#include <array>
#include <iterator>

#include <fmt/format.h>

#include "base/text.h"
#include "sink/row_binary.h"

namespace millrace::sink {
namespace {

using Column = std::string_view;

constexpr std::array<Column, 15> kBaseColumns = {
    "order_id",    "user_id",    "user_email",     "order_date",     "total_amount",
    "items_count", "status",     "payment_method", "payment_status", "created_at",
    "version",     "event_type", "deleted_at",     "is_deleted",     "not_after"};
constexpr std::array<Column, 11> kRollupColumns = {"dimension",  "leader",   "bucket", "key1",
                                                   "key2",       "source",   "upto",   "order_count",
                                                   "sale_count", "quantity", "amount"};
constexpr std::array<Column, 4> kPositionColumns = {"source", "upto", "input_offset", "updated_at"};

constexpr std::string_view kFormat = "RowBinary";
constexpr std::string_view kInsertDeadlineConstraint = "`insert_deadline`";  // schema/warehouse

// How many keys one look-up names: their text travels in the request's address, which servers bound (1 MiB by
// default, millrace-warehouse at 128 KiB with the headers).
constexpr std::size_t kKeysPerLookup = 400;
constexpr std::size_t kLookupBytesMax = 100'000;
constexpr std::size_t kOrdersPerLookup = 1'000;

constexpr std::string_view kBaseTable = "analytics.orders_analytics";
constexpr std::string_view kRollupTable = "analytics.rollups";

std::string sums_of(std::string_view rollups) {
  return fmt::format(
      "SELECT CAST(dimension, 'Int8'), leader, toUnixTimestamp(bucket), key1, key2, max(r.upto), "
      "argMax(r.order_count, r.upto), argMax(r.sale_count, r.upto), argMax(r.quantity, r.upto), "
      "argMax(r.amount, r.upto) FROM {} AS r WHERE source = {{source:String}} AND ",
      rollups);
}
constexpr std::string_view kGrouped = " GROUP BY dimension, leader, bucket, key1, key2";

std::uint32_t seconds32(base::UtcTime time) {
  return static_cast<std::uint32_t>(base::to_seconds(time));
}

base::Result<std::pair<RollupKey, CumulativeAggregate>> read_sum(RowBinaryReader& reader) {
  RollupKey key;
  key.dimension = static_cast<Dimension>(reader.number<std::int8_t>());
  key.leader = reader.string();
  key.bucket = reader.number<std::uint32_t>();
  key.key1 = reader.string();
  key.key2 = reader.string();
  CumulativeAggregate sum;
  sum.as_of_offset = reader.number<std::uint64_t>();
  sum.sums.order_count = reader.number<std::int64_t>();
  sum.sums.sale_count = reader.number<std::int64_t>();
  sum.sums.quantity = reader.number<std::int64_t>();
  sum.sums.amount = domain::Money::from_units(reader.number<std::int64_t>());
  if (reader.broken()) return base::unavailable("the warehouse's answer about running sums was cut off");
  return std::pair(std::move(key), sum);
}

void append_hex(std::string& out, std::string_view text) {
  for (const char c : text) fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
}

/// An array literal of hexadecimal texts: it needs no escaping whatever the keys hold.
template <class Member>
std::string hex_array(std::span<const RollupKey> keys, Member member) {
  std::string text = "[";
  for (const RollupKey& key : keys) {
    text += text.size() == 1 ? "'" : ",'";
    append_hex(text, key.*member);
    text += '\'';
  }
  return text + ']';
}

template <class Value>
std::string number_array(std::span<const RollupKey> keys, Value value) {
  std::string text = "[";
  for (const RollupKey& key : keys)
    fmt::format_to(std::back_inserter(text), "{}{}", text.size() == 1 ? "" : ",", value(key));
  return text + ']';
}

/// At least one.
std::size_t keys_in_one_lookup(std::span<const RollupKey> keys) {
  // Two digits a byte; a quoted element of an array costs "%27", "%27" and "%2C", a number its digits.
  constexpr std::size_t kBytesAround = 3 * 9 + 20;
  std::size_t bytes = 0;
  std::size_t count = 0;
  for (const RollupKey& key : keys.subspan(0, std::min(kKeysPerLookup, keys.size()))) {
    bytes += 2 * (key.leader.size() + key.key1.size() + key.key2.size()) + kBytesAround;
    if (count > 0 && bytes > kLookupBytesMax) break;
    ++count;
  }
  return count;
}

void append_base_row(std::string& out, const domain::AnalyticsRow& row, base::UtcTime loaded_at,
                     base::UtcTime not_after) {
  RowBinaryWriter writer(out);
  const domain::AnalyticsImage& image = row.current;
  writer.string(row.order_id.value());
  writer.string(image.user_id.value());
  writer.string(image.user_email);
  writer.number(seconds32(image.order_date));
  writer.number<std::int64_t>(image.total_amount.units() / 100);
  writer.number(static_cast<std::uint32_t>(image.items_count));
  writer.string(domain::to_string(image.status));
  writer.string(domain::to_string(image.payment_method));
  writer.string(domain::to_string(image.payment_status));
  writer.number(seconds32(loaded_at));
  writer.number(row.version);
  writer.string(domain::analytics_event_type(row.type));
  writer.number<std::uint8_t>(row.deleted_at ? 0 : 1);  // the mark of NULL
  if (row.deleted_at) writer.number(seconds32(*row.deleted_at));
  writer.number<std::uint8_t>(row.is_deleted() ? 1 : 0);
  writer.number<std::int64_t>(base::to_ms(not_after));
}

void append_rollup_row(std::string& out, const RollupRow& row) {
  const RollupKey& key = *row.key;
  const Sums& sums = row.sum.sums;
  RowBinaryWriter writer(out);
  writer.number(static_cast<std::int8_t>(key.dimension));
  writer.string(key.leader);
  writer.number(key.bucket);
  writer.string(key.key1);
  writer.string(key.key2);
  writer.string(*row.source);
  writer.number(row.sum.as_of_offset);
  writer.number(sums.order_count);
  writer.number(sums.sale_count);
  writer.number(sums.quantity);
  writer.number(sums.amount.units());
}

}  // namespace

std::string source_name(const Generation& generation, std::string_view topic_id, std::int32_t partition) {
  return generation.number == 0 ? fmt::format("{}/{}", topic_id, partition)
                                : fmt::format("{}/{}/{}", generation.number, topic_id, partition);
}

bool is_former_topic_id(std::string_view candidate, std::string_view source, const Generation& generation) {
  // Topic ids may hold slashes, but all of one kind of log have the same length.
  const std::string_view partition = source.substr(std::min(source.rfind('/'), source.size()));
  const std::string prefix = generation.number == 0 ? "" : fmt::format("{}/", generation.number);
  return candidate != source && candidate.size() == source.size() && candidate.ends_with(partition) &&
         candidate.starts_with(prefix);
}

WarehouseTables::WarehouseTables(ports::Warehouse& warehouse)
    : warehouse_(warehouse), base_(kBaseTable), rollups_(kRollupTable), sums_of_(sums_of(rollups_)) {}

WarehouseTables::WarehouseTables(ports::Warehouse& warehouse, ShadowGeneration shadow)
    : warehouse_(warehouse),
      shadow_(shadow.generation),
      base_(std::move(shadow.base)),
      rollups_(std::move(shadow.rollups)),
      sums_of_(sums_of(rollups_)) {}

base::Result<SinkPosition> WarehouseTables::position(const std::string& source, base::Deadline deadline) {
  const std::array parameters = {ports::QueryParameter{"source", source}};
  MILLRACE_TRY_ASSIGN(
      const std::string answer,
      warehouse_.query(
          "SELECT upto, input_offset FROM analytics.sink_position WHERE source = {source:String} "
          "ORDER BY upto DESC LIMIT 1",
          kFormat, parameters, deadline));
  if (answer.empty()) return SinkPosition{};
  RowBinaryReader reader(answer);
  SinkPosition position;
  position.as_of_offset = reader.number<std::uint64_t>();
  position.input_offset = reader.number<std::int64_t>();
  if (reader.broken())
    return base::unavailable("the warehouse's answer about the sink's position was cut off");
  return position;
}

base::Result<bool> WarehouseTables::has_former_topic_id(const std::string& source,
                                                        const Generation& generation,
                                                        base::Deadline deadline) {
  // Sums too: they are written before the position. Asked only where a source has no position yet.
  MILLRACE_TRY_ASSIGN(
      const std::string answer,
      warehouse_.query(fmt::format("SELECT DISTINCT source FROM (SELECT source FROM "
                                   "analytics.sink_position WHERE upto > 0 UNION ALL SELECT source "
                                   "FROM {})",
                                   rollups_),
                       kFormat, {}, deadline));
  RowBinaryReader reader(answer);
  while (!reader.at_end() && !reader.broken())
    if (is_former_topic_id(reader.string(), source, generation)) return true;
  if (reader.broken())
    return base::unavailable("the warehouse's answer about the sink's sources was cut off");
  return false;
}

base::Result<void> WarehouseTables::write_positions(const std::map<std::string, SinkPosition>& positions,
                                                    base::UtcTime now, base::Deadline deadline) {
  std::string rows;
  RowBinaryWriter writer(rows);
  for (const auto& [source, position] : positions) {
    writer.string(source);
    writer.number(position.as_of_offset);
    writer.number(position.input_offset);
    writer.number(base::to_ms(now));
  }
  return warehouse_.insert("analytics.sink_position", kPositionColumns, kFormat, rows, deadline);
}

base::Result<void> WarehouseTables::insert_base(std::span<const domain::AnalyticsRow* const> rows,
                                                base::UtcTime loaded_at, base::UtcTime not_after,
                                                base::Deadline deadline) {
  std::string data;
  data.reserve(rows.size() * 200);
  for (const domain::AnalyticsRow* row : rows) append_base_row(data, *row, loaded_at, not_after);
  auto inserted = warehouse_.insert(base_, kBaseColumns, kFormat, data, deadline);
  // Rows that came late are no worse than others: they are sent again with a later limit.
  if (!inserted && inserted.error().message.find(kInsertDeadlineConstraint) != std::string::npos)
    inserted.error().kind = base::ErrorKind::kUnavailable;
  return inserted;
}

base::Result<base::UtcTime> WarehouseTables::now(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const std::string answer,
                      warehouse_.query("SELECT toUnixTimestamp64Milli(now64(3))", kFormat, {}, deadline));
  RowBinaryReader reader(answer);
  const auto ms = reader.number<std::int64_t>();
  if (reader.broken()) return base::unavailable("the warehouse's answer about its clock was cut off");
  return base::utc_from_ms(ms);
}

base::Result<std::map<domain::OrderId, std::uint64_t>> WarehouseTables::versions_in(
    std::string_view table, std::span<const domain::OrderId> orders, base::Deadline deadline) {
  const std::string statement = fmt::format(
      "SELECT order_id, max(version) FROM {} WHERE order_id IN (SELECT "
      "unhex(arrayJoin({{orders:Array(String)}}))) GROUP BY order_id",
      table);
  std::map<domain::OrderId, std::uint64_t> versions;
  for (std::size_t first = 0; first < orders.size(); first += kOrdersPerLookup) {
    const auto part = orders.subspan(first, std::min(kOrdersPerLookup, orders.size() - first));
    std::string names = "[";
    for (const domain::OrderId& order : part) {
      names += names.size() == 1 ? "'" : ",'";
      append_hex(names, order.value());
      names += '\'';
    }
    const std::array parameters = {ports::QueryParameter{"orders", names + ']'}};
    MILLRACE_TRY_ASSIGN(const std::string answer, warehouse_.query(statement, kFormat, parameters, deadline));
    for (RowBinaryReader reader(answer); !reader.at_end();) {
      domain::OrderId order{std::string(reader.string())};
      const auto version = reader.number<std::uint64_t>();
      if (reader.broken())
        return base::unavailable(fmt::format("the warehouse's answer from {} was cut off", table));
      versions.emplace(std::move(order), version);
    }
  }
  return versions;
}

base::Result<std::map<domain::OrderId, std::uint64_t>> WarehouseTables::purged_versions(
    std::span<const domain::OrderId> orders, base::Deadline deadline) {
  return versions_in("analytics.purged_orders", orders, deadline);
}

base::Result<std::map<domain::OrderId, std::uint64_t>> WarehouseTables::snapshot_versions(
    std::uint32_t generation, std::span<const domain::OrderId> orders, base::Deadline deadline) {
  return versions_in(fmt::format("analytics.snapshot_g{}", generation), orders, deadline);
}

base::Result<Generation> WarehouseTables::generation(base::Deadline deadline) {
  if (shadow_) return *shadow_;
  MILLRACE_TRY_ASSIGN(
      const std::string answer,
      warehouse_.query(
          "SELECT generation, snapshot_version_max FROM analytics.generations WHERE activated_at "
          "> toDateTime64(0, 3, 'UTC') ORDER BY generation DESC LIMIT 1",
          kFormat, {}, deadline));
  Generation active;
  if (answer.empty()) return active;
  RowBinaryReader reader(answer);
  active.number = reader.number<std::uint32_t>();
  active.snapshot_version_max = reader.number<std::uint64_t>();
  if (reader.broken())
    return base::unavailable("the warehouse's answer about the active generation was cut off");
  return active;
}

base::Result<void> WarehouseTables::insert_rollups(std::span<const RollupRow> rows, base::Deadline deadline) {
  std::string data;
  data.reserve(rows.size() * 160);
  for (const RollupRow& row : rows) append_rollup_row(data, row);
  return warehouse_.insert(rollups_, kRollupColumns, kFormat, data, deadline);
}

base::Result<RollupCache> WarehouseTables::load_cache(const std::string& source, std::size_t keys_max,
                                                      base::Deadline deadline) {
  const std::array counting = {ports::QueryParameter{"source", source}};
  MILLRACE_TRY_ASSIGN(
      const std::string counts,
      warehouse_.query(
          fmt::format("SELECT toUnixTimestamp(toStartOfDay(bucket)) AS day, count() FROM {} WHERE "
                      "source = {{source:String}} GROUP BY day ORDER BY day DESC",
                      rollups_),
          kFormat, counting, deadline));
  std::uint32_t since = UINT32_MAX;
  bool all = true;
  std::uint64_t keys = 0;
  for (RowBinaryReader reader(counts); !reader.at_end();) {
    const auto day = reader.number<std::uint32_t>();
    keys += reader.number<std::uint64_t>();
    if (reader.broken()) return base::unavailable("the warehouse's answer about running sums was cut off");
    all = keys <= keys_max;
    if (!all) break;
    since = day;
  }
  RollupCache cache(all ? 0 : since, keys_max);
  const std::array parameters = {ports::QueryParameter{"source", source},
                                 ports::QueryParameter{"since", std::to_string(all ? 0 : since)}};
  MILLRACE_TRY_ASSIGN(
      const std::string answer,
      warehouse_.query(fmt::format("{}bucket >= toDateTime({{since:UInt32}}, 'UTC'){}", sums_of_, kGrouped),
                       kFormat, parameters, deadline));
  for (RowBinaryReader reader(answer); !reader.at_end();) {
    MILLRACE_TRY_ASSIGN(const auto entry, read_sum(reader));
    cache.store(entry.first, entry.second);
  }
  return cache;
}

base::Result<std::vector<std::pair<RollupKey, CumulativeAggregate>>> WarehouseTables::read_sums(
    const std::string& source, std::span<const RollupKey> keys, base::Deadline deadline) {
  const std::string statement = fmt::format(
      "{}(dimension, leader, bucket, key1, key2) IN (SELECT CAST(k.1, 'Enum8(\\'hour_status\\' = 1, "
      "\\'day_user\\' = 2, "
      "\\'user_day\\' = 3, \\'day_product\\' = 4)'), unhex(k.2), toDateTime(k.3, 'UTC'), unhex(k.4), "
      "unhex(k.5) FROM (SELECT "
      "arrayJoin(arrayZip({{dimension:Array(Int8)}}, {{leader:Array(String)}}, {{bucket:Array(UInt32)}}, "
      "{{key1:Array(String)}}, "
      "{{key2:Array(String)}})) AS k)){}",
      sums_of_, kGrouped);
  std::vector<std::pair<RollupKey, CumulativeAggregate>> found;
  for (std::size_t first = 0, count = 0; first < keys.size(); first += count) {
    count = keys_in_one_lookup(keys.subspan(first));
    const auto part = keys.subspan(first, count);
    const std::array parameters = {
        ports::QueryParameter{"source", source},
        ports::QueryParameter{
            "dimension",
            number_array(part, [](const RollupKey& key) { return static_cast<int>(key.dimension); })},
        ports::QueryParameter{"leader", hex_array(part, &RollupKey::leader)},
        ports::QueryParameter{"bucket", number_array(part, [](const RollupKey& key) { return key.bucket; })},
        ports::QueryParameter{"key1", hex_array(part, &RollupKey::key1)},
        ports::QueryParameter{"key2", hex_array(part, &RollupKey::key2)}};
    MILLRACE_TRY_ASSIGN(const std::string answer, warehouse_.query(statement, kFormat, parameters, deadline));
    for (RowBinaryReader reader(answer); !reader.at_end();) {
      MILLRACE_TRY_ASSIGN(auto entry, read_sum(reader));
      found.push_back(std::move(entry));
    }
  }
  return found;
}

}  // namespace millrace::sink
