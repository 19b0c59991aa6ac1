#include "transform/transformer.h"

#include <memory>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/text.h"
#include "domain/analytics_row.h"
#include "domain/order_event.h"
#include "ports/record_headers.h"
#include "transform/mapping.h"

namespace millrace::transform {
namespace {

constexpr std::chrono::milliseconds kBackoffFirst{50};
constexpr std::chrono::milliseconds kBackoffLongest{
    2'000};  // also the longest that an outage of the log is felt after its end
constexpr std::chrono::milliseconds kCommitBackoffFirst{50};
constexpr std::chrono::milliseconds kCommitBackoffLongest{2'000};
constexpr std::string_view kWindowStart = "window-start-offset=";

std::optional<std::uint64_t> number_header(const ports::Record& record, std::string_view name) {
  const auto text = record.header(name);
  return text ? base::parse_int<std::uint64_t>(*text) : std::nullopt;
}

}  // namespace

std::int64_t needed_from(const ports::CommittedOffset& committed) {
  // It travels in the commit's metadata; where that does not say it, the whole log is needed.
  const std::string_view metadata = committed.metadata;
  if (!metadata.starts_with(kWindowStart)) return 0;
  return base::parse_int<std::int64_t>(metadata.substr(kWindowStart.size())).value_or(0);
}

Transformer::Transformer(ports::EventLog& log, const ports::Clock& clock, Options options)
    : log_(log), clock_(clock), options_(std::move(options)) {}

base::Result<Transformer::Partition> Transformer::open(const ports::Assignment& assignment) {
  const ports::TopicPartition& input = assignment.partition;
  MILLRACE_TRY_ASSIGN(const auto committed, log_.committed(options_.group, input, soon()));
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log_.offsets(input, soon()));
  Partition partition;
  partition.assignment = assignment;
  // A new group starts at the first event there ever was.
  partition.position = committed ? committed->offset : 0;
  partition.committed = partition.position;
  const std::int64_t window_start = committed ? needed_from(*committed) : 0;
  if (partition.position < range.begin)
    return base::fatal(
        fmt::format("events of partition {} of {} were removed from the log before they were transformed "
                    "(next is {}, the "
                    "log starts at {}): load the warehouse anew, or reset group {} to accept the loss",
                    input.partition, input.topic, partition.position, range.begin, options_.group));
  if (partition.position > range.end)
    return base::fatal(
        fmt::format("the position {} of group {} lies beyond the end {} of partition {} of {}: the log lost "
                    "acknowledged events or the topic is another one; load the warehouse anew",
                    partition.position, options_.group, range.end, input.partition, input.topic));
  if (window_start < range.begin)
    return base::fatal(
        fmt::format("the log of partition {} of {} starts at {}, too late to tell repeats from new events "
                    "(needed from {}): "
                    "keep the log longer, and load the warehouse anew",
                    input.partition, input.topic, range.begin, window_start));
  partition.window = RepeatWindow(options_.window_events);
  for (std::int64_t next = window_start; next < partition.position;) {
    MILLRACE_TRY_ASSIGN(
        const auto records,
        log_.read(input, next, {options_.batch_records_max, options_.batch_bytes_max}, soon()));
    // Nothing must be missing in the window: what is left out may come a second time.
    if (records.empty())
      return base::unavailable(fmt::format("the log does not give back partition {} of {} from {} to {}",
                                           input.partition, input.topic, next, partition.position));
    for (const ports::Record& record : records) {
      if (record.offset >= partition.position) break;
      const auto id = number_header(record, ports::kHeaderEventId);
      const auto epoch = number_header(record, ports::kHeaderEpoch);
      if (id && epoch) partition.window.take(record.offset, *id, *epoch);
    }
    next = records.back().offset + 1;
  }
  spdlog::info("transform: partition {} goes on at {} of {}", input.partition, partition.position, range.end);
  return partition;
}

base::Result<void> Transformer::follow_assignments(ports::GroupMember& member) {
  MILLRACE_TRY_ASSIGN(const auto assigned, member.assignments(soon()));
  std::erase_if(partitions_, [&](const auto& entry) {
    return std::ranges::find(assigned, entry.second.assignment) == assigned.end();
  });
  for (const ports::Assignment& assignment : assigned) {
    if (partitions_.contains(assignment.partition)) continue;
    MILLRACE_TRY_ASSIGN(Partition partition, open(assignment));
    partitions_.emplace(assignment.partition, std::move(partition));
  }
  return {};
}

void Transformer::transform(const ports::Record& record, Partition& partition, Batch& batch) {
  const auto bury = [&](const std::string& reason) {
    spdlog::error("transform: dead letter from partition {} offset {}: {}",
                  partition.assignment.partition.partition, record.offset, reason);
    batch.dead_letters.push_back(ports::dead_letter_of(record, partition.assignment.partition, incarnation_,
                                                       reason, clock_.now(), log_.record_bytes_max()));
    ++stats_.dead_letters;
  };

  const auto id = number_header(record, ports::kHeaderEventId);
  const auto epoch = number_header(record, ports::kHeaderEpoch);
  if (!id || !epoch) {
    bury(fmt::format("the record has no '{}' or '{}' header; only the relay may write to this topic",
                     ports::kHeaderEventId, ports::kHeaderEpoch));
    return;
  }
  switch (partition.window.take(record.offset, *id, *epoch)) {
    case Verdict::kRepeat:
      ++stats_.repeats_dropped;
      return;
    case Verdict::kFormerOwner:
      ++stats_.former_owner_dropped;
      return;
    case Verdict::kKeep:
      break;
  }
  const auto event = domain::parse_order_event(record.value);
  if (!event) {
    bury(event.error().message);
    return;
  }
  const auto row = to_analytics_row(*event, domain::EventId(*id), record.time, clock_.now());
  ports::NewRecord out{row.order_id.value(),
                       domain::to_json(row),
                       {{std::string(ports::kHeaderInputOffset), std::to_string(record.offset)}},
                       clock_.now()};
  if (const std::size_t bytes = ports::bytes_of(out); bytes > log_.record_bytes_max()) {
    bury(fmt::format("its row has {} bytes, the log takes {}", bytes, log_.record_bytes_max()));
    return;
  }
  batch.rows.push_back(std::move(out));
}

base::Result<std::size_t> Transformer::advance(Partition& partition) {
  const ports::TopicPartition& input = partition.assignment.partition;
  MILLRACE_TRY_ASSIGN(const auto records, log_.read(input, partition.position,
                                                    {options_.batch_records_max, options_.batch_bytes_max},
                                                    base::Deadline::in(std::chrono::milliseconds(0))));
  if (records.empty()) return 0;
  Batch batch;
  const std::uint64_t dropped_before = stats_.repeats_dropped + stats_.former_owner_dropped;
  for (const ports::Record& record : records) transform(record, partition, batch);
  if (const auto dropped = stats_.repeats_dropped + stats_.former_owner_dropped - dropped_before; dropped > 0)
    spdlog::info("transform: dropped {} repeats from partition {}", dropped, input.partition);
  if (!batch.dead_letters.empty())
    MILLRACE_TRY(log_.append({options_.dead_letter_topic, input.partition}, batch.dead_letters, soon()));
  if (!batch.rows.empty())
    MILLRACE_TRY(log_.append({options_.output_topic, input.partition}, batch.rows, soon()));
  stats_.rows_written += batch.rows.size();
  partition.position = records.back().offset + 1;
  return records.size();
}

base::Result<void> Transformer::commit(ports::GroupMember& member, Partition& partition,
                                       base::Deadline deadline) {
  if (partition.committed == partition.position) return {};
  const std::string metadata = std::string(kWindowStart) +
                               std::to_string(partition.window.start_offset().value_or(partition.position));
  MILLRACE_TRY(member.commit(partition.assignment, {partition.position, metadata}, deadline));
  partition.committed = partition.position;
  return {};
}

/// Whether it succeeded. Else the stage goes on all the same: what is not committed is only transformed again
/// after a crash, and whether a partition has passed to another the assignments say.
base::Result<bool> Transformer::commit_all(ports::GroupMember& member) {
  for (auto& [key, partition] : partitions_) {
    const auto committed = commit(member, partition, base::Deadline::in(options_.commit_timeout));
    if (committed) continue;
    if (committed.error().kind == base::ErrorKind::kFatal) return std::unexpected(committed.error());
    if (commit_outage_.worth_a_line(committed.error()))
      spdlog::log(
          committed.error().kind == base::ErrorKind::kConflict ? spdlog::level::info : spdlog::level::warn,
          "transform: {}; going on, and trying again", committed.error().message);
    return false;
  }
  if (const auto lasted = commit_outage_.over())
    spdlog::info("transform: commits succeed again after {} s", lasted->count());
  return true;
}

base::Result<void> Transformer::serve(const base::StopSignal& stop) {
  partitions_.clear();
  MILLRACE_TRY_ASSIGN(const auto input, log_.describe_topic(options_.input_topic, soon()));
  incarnation_ = input.incarnation;
  for (const std::string& topic : {options_.output_topic, options_.dead_letter_topic})
    MILLRACE_TRY(log_.ensure_topic(topic, input.partitions, soon()));
  MILLRACE_TRY_ASSIGN(const auto member, log_.join(options_.group, options_.input_topic, soon()));
  base::Backoff commit_backoff(kCommitBackoffFirst, kCommitBackoffLongest);
  auto commit_due = base::Deadline::in(std::chrono::milliseconds(0));
  while (!stop.requested()) {
    MILLRACE_TRY(follow_assignments(*member));
    std::size_t moved = 0;
    bool uncommitted = false;
    std::vector<ports::LogPosition> positions;
    for (auto& [key, partition] : partitions_) {
      MILLRACE_TRY_ASSIGN(const std::size_t records, advance(partition));
      moved += records;
      uncommitted |= partition.position != partition.committed;
      positions.push_back({key, partition.position});
    }
    // After a pause at once, then no more often than the interval.
    if (uncommitted && commit_due.passed()) {
      MILLRACE_TRY_ASSIGN(const bool done, commit_all(*member));
      if (done) commit_backoff.reset();
      commit_due = base::Deadline::in(done ? options_.commit_interval : commit_backoff.next());
      uncommitted = !done;
    }
    if (moved > 0) continue;
    const auto pause = uncommitted ? std::min(options_.idle_wait, commit_due.left()) : options_.idle_wait;
    if (positions.empty()) {
      stop.wait_for(pause);
    } else {
      MILLRACE_TRY(log_.wait_any(positions, base::Deadline::in(pause)));
    }
  }
  for (auto& [key, partition] : partitions_) MILLRACE_TRY(commit(*member, partition, soon()));
  return {};
}

base::Result<void> Transformer::run(const base::StopSignal& stop) {
  base::Backoff backoff(kBackoffFirst, kBackoffLongest);
  while (!stop.requested()) {
    const std::uint64_t rows_before = stats_.rows_written;
    auto served = serve(stop);
    if (served) return {};
    if (served.error().kind == base::ErrorKind::kFatal) return served;
    if (stats_.rows_written > rows_before) backoff.reset();
    spdlog::warn("transform: {}; starting again from the committed position", served.error().message);
    stop.wait_for(backoff.next());
  }
  return {};
}

}  // namespace millrace::transform
