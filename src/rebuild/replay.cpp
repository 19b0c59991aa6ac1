#include "rebuild/replay.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/json.h"
#include "base/text.h"

namespace millrace::rebuild {
namespace {

constexpr std::string_view kTopic = "orders_analytics";
constexpr std::int32_t kPartitionsMax = 100'000;

/// A log that is asked below its end and gives nothing is unavailable, whatever it says.
std::unexpected<base::Error> not_read(const ports::TopicPartition& partition, std::int64_t offset) {
  return base::unavailable(fmt::format("the log gave no record of partition {} of {} from offset {} on",
                                       partition.partition, partition.topic, offset));
}

base::Result<ReplayState> read_state(std::string_view text) {
  MILLRACE_TRY_ASSIGN(const auto document, base::parse_json(text));
  if (!document.is_object()) return base::invalid("it is no object");
  const auto& object = document.get_object();
  ReplayState state;
  MILLRACE_TRY_ASSIGN(const std::string_view topic_id, base::string_member(object, "incarnation"));
  state.topic_id = topic_id;
  MILLRACE_TRY_ASSIGN(const std::int64_t rows, base::int_member(object, "rows"));
  state.rows = static_cast<std::uint64_t>(rows);
  MILLRACE_TRY_ASSIGN(const std::int64_t unreadable, base::int_member(object, "unreadable"));
  state.unreadable = static_cast<std::uint64_t>(unreadable);
  const auto* partitions = base::find_member(object, "partitions");
  if (partitions == nullptr || !partitions->is_array()) return base::invalid("'partitions' must be an array");
  for (const auto& entry : partitions->get_array()) {
    if (!entry.is_object()) return base::invalid("'partitions' must hold objects");
    const auto& fields = entry.get_object();
    ReplayedPartition partition;
    MILLRACE_TRY_ASSIGN(const std::int64_t number, base::int_member(fields, "partition"));
    partition.partition = static_cast<std::int32_t>(number);
    MILLRACE_TRY_ASSIGN(partition.from, base::int_member(fields, "from"));
    MILLRACE_TRY_ASSIGN(partition.next, base::int_member(fields, "next"));
    MILLRACE_TRY_ASSIGN(partition.to, base::int_member(fields, "to"));
    state.partitions.push_back(partition);
  }
  return state;
}

}  // namespace

base::Result<ReplayParameters> read_replay(const boost::json::object& request) {
  ReplayParameters parameters;
  MILLRACE_TRY_ASSIGN(const std::string_view topic, base::string_member(request, "topic"));
  if (topic != kTopic)
    return base::invalid(
        topic == "order.events"
            ? "order.events is not replayed: the rows that would come of it are repeats, which the sink "
              "drops; "
              "replay orders_analytics to write base rows again, or use `millrace rebuild`"
            : fmt::format("'{}' cannot be replayed; orders_analytics can", base::printable(topic, 80)));
  parameters.topic = topic;
  MILLRACE_TRY_ASSIGN(const std::string_view from, base::string_member(request, "from"));
  if (const auto offset = base::parse_int<std::int64_t>(from)) {
    if (*offset < 0) return base::invalid("'from' must be an offset of 0 or more, or a time");
    parameters.from = *offset;
  } else if (const auto time = base::parse_utc(from)) {
    parameters.from = *time;
  } else {
    return base::invalid(
        "'from' must be an offset such as 1234, or a time in UTC such as 2026-01-31T12:00:00Z");
  }
  if (base::find_member(request, "partition") != nullptr) {
    MILLRACE_TRY_ASSIGN(const std::int64_t partition, base::int_member(request, "partition"));
    if (partition < 0 || partition >= kPartitionsMax)
      return base::invalid("'partition' must be the number of a partition of the topic");
    parameters.partition = static_cast<std::int32_t>(partition);
  }
  return parameters;
}

std::string to_json(const ReplayParameters& parameters) {
  std::string text;
  base::JsonWriter out(text);
  out.begin_object();
  out.key("topic").string(parameters.topic);
  if (const auto* offset = std::get_if<std::int64_t>(&parameters.from))
    out.key("from").string(std::to_string(*offset));
  else
    out.key("from").string(base::to_iso8601(std::get<base::UtcTime>(parameters.from)));
  if (parameters.partition) out.key("partition").number(std::int64_t{*parameters.partition});
  out.end_object();
  return text;
}

std::string to_json(const ReplayState& state) {
  std::string text;
  base::JsonWriter out(text);
  out.begin_object();
  out.key("incarnation").string(state.topic_id);
  out.key("rows").number(state.rows);
  out.key("unreadable").number(state.unreadable);
  out.key("partitions").begin_array();
  for (const ReplayedPartition& partition : state.partitions) {
    out.begin_object();
    out.key("partition").number(std::int64_t{partition.partition});
    out.key("from").number(partition.from);
    out.key("next").number(partition.next);
    out.key("to").number(partition.to);
    out.end_object();
  }
  out.end_array();
  out.end_object();
  return text;
}

base::Result<ReplayState> parse_replay_state(std::string_view json) {
  auto state = read_state(json);
  if (!state)
    return base::fatal(
        fmt::format("the replay's checkpoint cannot be read ({}): cancel the job and start "
                    "another",
                    state.error().message));
  return state;
}

base::Result<std::int64_t> first_offset_at(ports::EventLog& log, const ports::TopicPartition& partition,
                                           ports::OffsetRange range, base::UtcTime time,
                                           base::Deadline deadline) {
  std::int64_t low = range.begin;
  std::int64_t high = range.end;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    MILLRACE_TRY_ASSIGN(const auto records, log.read(partition, middle, {1, 1}, deadline));
    if (records.empty()) return not_read(partition, middle);
    if (records.front().time < time) {
      // On a log with gaps the record may lie above the middle.
      low = std::max(middle, records.front().offset) + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

base::Result<ReplayState> Replay::begin(const ReplayParameters& parameters) {
  MILLRACE_TRY_ASSIGN(const ports::TopicInfo topic, log_.describe_topic(parameters.topic, soon()));
  if (parameters.partition && *parameters.partition >= topic.partitions)
    return base::invalid(fmt::format("{} has no partition {}; it has {}", parameters.topic,
                                     *parameters.partition, topic.partitions));
  ReplayState state;
  state.topic_id = topic.topic_id;
  for (std::int32_t number = 0; number < topic.partitions; ++number) {
    if (parameters.partition && number != *parameters.partition) continue;
    const ports::TopicPartition where{parameters.topic, number};
    MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log_.offsets(where, soon()));
    std::int64_t from = 0;
    if (const auto* time = std::get_if<base::UtcTime>(&parameters.from)) {
      MILLRACE_TRY_ASSIGN(from, first_offset_at(log_, where, range, *time, soon()));
    } else {
      from = std::get<std::int64_t>(parameters.from);
      if (parameters.partition && (from < range.begin || from > range.end))
        return base::invalid(fmt::format("partition {} of {} holds offsets {} to {}; {} is outside of them",
                                         number, parameters.topic, range.begin, range.end, from));
      from = std::clamp(from, range.begin, range.end);
    }
    state.partitions.push_back({.partition = number, .from = from, .next = from, .to = range.end});
  }
  return state;
}

base::Result<void> Replay::replay(ReplayState& state, ReplayedPartition& partition, sink::BaseRows& base_rows,
                                  jobs::Attempt& attempt) {
  const ports::TopicPartition where{std::string(kTopic), partition.partition};
  while (partition.next < partition.to) {
    attempt.set_progress(fmt::format("partition {}: {} of {} records, {} rows written in all",
                                     partition.partition, partition.next - partition.from,
                                     partition.to - partition.from, state.rows));
    if (attempt.stop().requested())
      return base::unavailable("the replay was asked to stop; it resumes later");
    auto records =
        log_.read(where, partition.next, {options_.batch_records_max, options_.batch_bytes_max}, soon());
    if (!records && records.error().kind == base::ErrorKind::kInvalid)
      return base::rejected(fmt::format("offset {} of partition {} is not in the log any more: {}",
                                        partition.next, partition.partition, records.error().message));
    if (!records) return std::unexpected(std::move(records).error());
    if (records->empty()) return not_read(where, partition.next);
    std::vector<domain::AnalyticsRow> rows;
    rows.reserve(records->size());
    for (const ports::Record& record : *records) {
      if (record.offset >= partition.to) break;
      auto row = domain::parse_analytics_row(record.value);
      if (row)
        rows.push_back(std::move(*row));
      else
        ++state.unreadable;
    }
    const std::int64_t next = std::min(partition.to, records->back().offset + 1);
    std::vector<const domain::AnalyticsRow*> pointers;
    pointers.reserve(rows.size());
    for (const domain::AnalyticsRow& row : rows) pointers.push_back(&row);
    const std::size_t purged_before = base_rows.skipped();
    MILLRACE_TRY_ASSIGN(const auto refused, base_rows.insert_what_fits(pointers, attempt.stop()));
    state.unreadable += refused.size();
    state.rows +=
        pointers.size() - std::min(pointers.size(), refused.size() + base_rows.skipped() - purged_before);
    partition.next = next;
    MILLRACE_TRY(attempt.save(to_json(state)));
  }
  return {};
}

base::Result<std::string> Replay::run(const ports::Job& job, jobs::Attempt& attempt) {
  const ScopedHold hold(hold_);
  MILLRACE_TRY_ASSIGN(const auto document, base::parse_json(job.parameters));
  if (!document.is_object()) return base::fatal("the job's parameters are no object");
  MILLRACE_TRY_ASSIGN(const ReplayParameters parameters, read_replay(document.get_object()));
  ReplayState state;
  if (attempt.checkpoint().empty()) {
    MILLRACE_TRY_ASSIGN(state, begin(parameters));
    MILLRACE_TRY(attempt.save(to_json(state)));
  } else {
    MILLRACE_TRY_ASSIGN(state, parse_replay_state(attempt.checkpoint()));
    MILLRACE_TRY_ASSIGN(const ports::TopicInfo topic, log_.describe_topic(parameters.topic, soon()));
    if (topic.topic_id != state.topic_id)
      return base::rejected("the topic was recreated since the replay began: its offsets mean other records");
  }
  sink::BaseRows base_rows(tables_, clock_, options_.base_rows);
  std::int64_t records = 0;
  for (ReplayedPartition& partition : state.partitions) {
    MILLRACE_TRY(replay(state, partition, base_rows, attempt));
    records += partition.to - partition.from;
  }
  return fmt::format("{} records of {} partitions were read again, {} base rows written{}", records,
                     state.partitions.size(), state.rows,
                     state.unreadable == 0
                         ? ""
                         : fmt::format("; {} records can never be rows of the table", state.unreadable));
}

}  // namespace millrace::rebuild
