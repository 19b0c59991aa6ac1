#include "transform/transformer.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/text.h"
#include "domain/analytics_row.h"
#include "domain/order_event.h"
#include "ports/record_headers.h"
#include "transform/mapping.h"
#include "transform/record_spans.h"

namespace millrace::transform {
namespace {

constexpr std::size_t kProgressRecords = 100;  // records of the output looked through for one that is ours

std::optional<std::uint64_t> number_header(const ports::Record& record, std::string_view name) {
  const auto text = record.header(name);
  return text ? base::parse_int<std::uint64_t>(*text) : std::nullopt;
}

}  // namespace

Transformer::Transformer(ports::EventLog& log, const ports::Clock& clock, Options options)
    : log_(log),
      clock_(clock),
      options_(std::move(options)),
      committer_(
          {.stage = "transform", .interval = options_.commit_interval, .timeout = options_.commit_timeout}),
      loop_(log, *this, stats_,
            {.stage = "transform",
             .resumes_from = "the committed offset",
             .group = options_.group,
             .topic = options_.input_topic,
             .idle_wait = options_.idle_wait,
             .call_timeout = options_.call_timeout,
             .topic_check_interval = options_.topic_check_interval}) {}

base::Result<void> Transformer::reset() {
  partitions_.clear();
  return {};
}

base::Result<Progress> Transformer::progress(std::int32_t partition) {
  const ports::TopicPartition output{options_.output_topic, partition};
  Progress progress;
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log_.offsets(output, soon()));
  if (range.begin == range.end) return progress;
  MILLRACE_TRY_ASSIGN(const auto records, log_.read_before(output, range.end, kProgressRecords, soon()));
  for (const ports::Record& record : records) {
    const auto text = record.header(ports::kHeaderInputOffset);
    const auto offset = text ? base::parse_int<std::int64_t>(*text) : std::nullopt;
    if (!offset) continue;
    progress.input_offset = *offset;
    progress.input_topic_id = record.header(ports::kHeaderInputTopic).value_or("");
  }
  return progress;
}

base::Result<void> Transformer::open(const ports::Assignment& assignment) {
  ResumeFacts facts;
  facts.input = assignment.partition;
  facts.input_topic_id = topic_id_;
  facts.output_topic = options_.output_topic;
  facts.output_topic_id = output_topic_id_;
  facts.group = options_.group;
  MILLRACE_TRY_ASSIGN(facts.committed, log_.committed(options_.group, facts.input, soon()));
  if (!facts.committed || !is_own_commit(*facts.committed)) {
    MILLRACE_TRY_ASSIGN(facts.progress, progress(facts.input.partition));
  }
  // The end after what must lie below it: another transformer may be at work until just now.
  MILLRACE_TRY_ASSIGN(facts.range, log_.offsets(facts.input, soon()));
  MILLRACE_TRY_ASSIGN(const ResumePoint point, decide_resume(facts));
  if (!point.warning.empty()) spdlog::warn("transform: {}", point.warning);
  Partition partition;
  partition.assignment = assignment;
  partition.position = point.position;
  if (point.is_committed) partition.committed = point.position;
  MILLRACE_TRY(rebuild_window(partition, point.window_start));
  spdlog::log(loop_.opened_before_in_this_outage() ? spdlog::level::debug : spdlog::level::info,
              "transform: partition {} resumed at offset {} of {}", facts.input.partition, partition.position,
              facts.range.end);
  partitions_.insert_or_assign(facts.input, std::move(partition));
  return {};
}

/// From the records below the position, as the transformer that passed them had it.
base::Result<void> Transformer::rebuild_window(Partition& partition, std::int64_t window_start) {
  const ports::TopicPartition& input = partition.assignment.partition;
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
  return {};
}

void Transformer::transform(const ports::Record& record, Partition& partition, Batch& batch) {
  const auto send_to_dlq = [&](const std::string& reason) {
    spdlog::error("transform: dead letter from partition {} offset {}: {}",
                  partition.assignment.partition.partition, record.offset, reason);
    batch.dead_letters.push_back(ports::dead_letter_of(record, partition.assignment.partition, topic_id_,
                                                       reason, clock_.now(), log_.record_bytes_max()));
    ++stats_.dead_letters;
  };

  const auto id = number_header(record, ports::kHeaderEventId);
  const auto epoch = number_header(record, ports::kHeaderEpoch);
  if (!id || !epoch) {
    send_to_dlq(fmt::format("the record has no '{}' or '{}' header; only the relay may write to this topic",
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
    send_to_dlq(event.error().message);
    return;
  }
  const auto row = to_analytics_row(*event, domain::EventId(*id), record.time, clock_.now());
  ports::NewRecord out{row.order_id.value(),
                       domain::to_json(row),
                       {{std::string(ports::kHeaderInputOffset), std::to_string(record.offset)},
                        {std::string(ports::kHeaderInputTopic), topic_id_}},
                       clock_.now()};
  if (const std::size_t bytes = ports::bytes_of(out); bytes > log_.record_bytes_max()) {
    send_to_dlq(fmt::format("its row has {} bytes, the log takes {}", bytes, log_.record_bytes_max()));
    return;
  }
  batch.rows.push_back(std::move(out));
  add_span(options_.tracer, row, partition.assignment.partition, record.offset, batch.spans);
}

/// One round: reads from all partitions, sends what becomes of it to all at once, and waits for it. Returns
/// how many records were read.
base::Result<std::size_t> Transformer::advance() {
  MILLRACE_TRY_ASSIGN(const auto reads, ports::read_shared(log_, positions(),
                                                           {options_.batch_records_max * partitions_.size(),
                                                            options_.batch_bytes_max},
                                                           read_turn_++));
  std::size_t count = 0;
  std::size_t rows = 0;
  std::vector<ports::PartitionRecords> batches;
  RoundSpans spans(options_.tracer);
  for (const ports::PartitionRead& read : reads) {
    const std::int32_t number = read.partition.partition;
    Batch batch;
    const std::uint64_t dropped_before = stats_.repeats_dropped + stats_.former_owner_dropped;
    for (const ports::Record& record : read.records) transform(record, partitions_.at(read.partition), batch);
    if (const auto dropped = stats_.repeats_dropped + stats_.former_owner_dropped - dropped_before;
        dropped > 0)
      spdlog::info("transform: dropped {} repeats from partition {}", dropped, number);
    count += read.records.size();
    rows += batch.rows.size();
    spans.add(std::move(batch.spans));
    if (!batch.dead_letters.empty())
      batches.push_back({{options_.dead_letter_topic, number}, std::move(batch.dead_letters)});
    if (!batch.rows.empty()) batches.push_back({{options_.output_topic, number}, std::move(batch.rows)});
  }
  if (!batches.empty()) {
    const base::Deadline deadline = soon();
    MILLRACE_TRY_ASSIGN(const auto pending, log_.start_append(batches, deadline));
    MILLRACE_TRY_ASSIGN(const bool done, pending->wait(deadline));
    if (!done)
      return base::unavailable(
          fmt::format("append to {} partitions: not acknowledged in time", batches.size()));
  }
  for (const ports::PartitionRead& read : reads)
    partitions_.at(read.partition).position = read.records.back().offset + 1;
  stats_.rows_written += rows;
  spans.end();
  return count;
}

std::vector<ports::LogPosition> Transformer::positions() const {
  std::vector<ports::LogPosition> positions;
  positions.reserve(partitions_.size());
  for (const auto& [key, partition] : partitions_) positions.push_back({key, partition.position});
  return positions;
}

base::Result<void> Transformer::commit(ports::GroupMember& member) {
  std::vector<ports::AssignmentCommit> commits;
  for (const auto& [key, partition] : partitions_) {
    if (partition.committed == partition.position) continue;
    commits.push_back(
        {partition.assignment,
         {partition.position, commit_metadata(partition.window.start_offset().value_or(partition.position),
                                              topic_id_, output_topic_id_)}});
  }
  if (commits.empty()) return {};
  MILLRACE_TRY_ASSIGN(const bool committed, committer_.commit(member, commits));
  if (!committed) return {};
  for (auto& [key, partition] : partitions_) partition.committed = partition.position;
  return {};
}

bool Transformer::is_all_committed() const {
  return std::ranges::all_of(
      partitions_, [](const auto& entry) { return entry.second.position == entry.second.committed; });
}

base::Result<void> Transformer::check_topics(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto input, log_.describe_topic(options_.input_topic, deadline));
  MILLRACE_TRY_ASSIGN(const auto output,
                      ports::ensure_partitions(log_, options_.output_topic, input.partitions, deadline));
  MILLRACE_TRY(ports::ensure_partitions(log_, options_.dead_letter_topic, input.partitions, deadline));
  const bool same = input.topic_id == topic_id_ && output.topic_id == output_topic_id_;
  topic_id_ = input.topic_id;
  output_topic_id_ = output.topic_id;
  if (!same && !partitions_.empty()) return base::conflict("a topic was deleted and recreated");
  return {};
}

base::Result<bool> Transformer::step(ports::GroupMember& member, const base::StopSignal& /*stop*/) {
  MILLRACE_TRY_ASSIGN(const std::size_t moved, advance());
  // After a pause at once, then no more often than the interval.
  if (committer_.is_due()) MILLRACE_TRY(commit(member));
  if (moved > 0) return true;
  const auto pause =
      is_all_committed() ? options_.idle_wait : std::min(options_.idle_wait, committer_.until_due());
  return log_.wait_any(positions(), base::Deadline::in(pause));
}

}  // namespace millrace::transform
