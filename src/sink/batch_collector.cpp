#include "sink/batch_collector.h"

#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/deadline.h"
#include "base/text.h"
#include "domain/analytics_row.h"
#include "ports/record_headers.h"

namespace millrace::sink {
namespace {

std::size_t pending_rows(const Partitions& partitions) {
  std::size_t rows = 0;
  for (const auto& [key, partition] : partitions) rows += partition.pending.size();
  return rows;
}

std::vector<ports::LogPosition> read_positions(const Partitions& partitions) {
  std::vector<ports::LogPosition> positions;
  positions.reserve(partitions.size());
  for (const auto& [key, partition] : partitions)
    positions.push_back({key, static_cast<std::int64_t>(partition.read.as_of_offset)});
  return positions;
}

}  // namespace

BatchCollector::BatchCollector(ports::EventLog& log, const ports::Clock& clock, const Options& options,
                               Stats& stats)
    : log_(log), clock_(clock), options_(options), stats_(stats) {}

/// Takes what there is, each partition its share. Returns the bytes.
base::Result<std::size_t> BatchCollector::read(Partitions& partitions, ports::ReadLimit limit) {
  MILLRACE_TRY_ASSIGN(const auto reads,
                      ports::read_shared(log_, read_positions(partitions), limit, read_turn_++));
  std::size_t bytes = 0;
  for (const ports::PartitionRead& read : reads) {
    MILLRACE_TRY_ASSIGN(const std::size_t added, add_records(partitions.at(read.partition), read.records));
    bytes += added;
  }
  return bytes;
}

base::Result<std::size_t> BatchCollector::add_records(Partition& partition,
                                                      std::span<const ports::Record> records) {
  const ports::TopicPartition& source = partition.assignment.partition;
  std::vector<ports::NewRecord> dead_letters;
  std::size_t dropped = 0;
  std::size_t bytes = 0;
  for (const ports::Record& record : records) {
    bytes += ports::bytes_of(record);
    partition.read.as_of_offset = static_cast<std::uint64_t>(record.offset) + 1;
    const auto offset_text = record.header(ports::kHeaderInputOffset);
    const auto input_offset = offset_text ? base::parse_int<std::int64_t>(*offset_text) : std::nullopt;
    if (input_offset && *input_offset <= partition.read.input_offset) {
      ++dropped;
      continue;
    }
    if (input_offset) partition.read.input_offset = *input_offset;
    auto row = input_offset
                   ? domain::parse_analytics_row(record.value)
                   : base::rejected(fmt::format("the record has no '{}' header", ports::kHeaderInputOffset));
    if (!row) {
      spdlog::error("sink: dead letter from partition {} offset {}: {}", source.partition, record.offset,
                    row.error().message);
      dead_letters.push_back(ports::dead_letter_of(record, source, partition.topic_id, row.error().message,
                                                   clock_.now(), log_.record_bytes_max()));
      continue;
    }
    partition.pending.push_back({static_cast<std::uint64_t>(record.offset), std::move(*row)});
  }
  if (dropped > 0) {
    stats_.repeats_dropped += dropped;
    spdlog::info("sink: dropped {} repeats from partition {}", dropped, source.partition);
  }
  if (!dead_letters.empty()) {
    MILLRACE_TRY(log_.append({options_.dead_letter_topic, source.partition}, dead_letters,
                             base::Deadline::in(options_.call_timeout)));
    stats_.dead_letters += dead_letters.size();
  }
  return bytes;
}

base::Result<bool> BatchCollector::collect(Partitions& partitions, const base::StopSignal& stop,
                                           const WhileIdle& idle) {
  std::size_t bytes = 0;
  auto close_at = base::Deadline::in(options_.idle_wait);
  bool opened = false;
  for (;;) {
    MILLRACE_TRY_ASSIGN(const std::size_t taken,
                        read(partitions, {options_.batch_rows_max - pending_rows(partitions),
                                          options_.batch_bytes_max - bytes}));
    bytes += taken;
    if (bytes > 0 && !opened) {
      opened = true;
      close_at = base::Deadline::at(last_batch_closed_ + options_.max_delay);
    }
    const bool full =
        pending_rows(partitions) >= options_.batch_rows_max || bytes >= options_.batch_bytes_max;
    if (full || stop.requested() || (opened && close_at.passed())) break;
    if (opened) {
      MILLRACE_TRY(log_.wait_any(read_positions(partitions), close_at));
      continue;
    }
    MILLRACE_TRY_ASSIGN(const std::chrono::milliseconds pause, idle());
    MILLRACE_TRY_ASSIGN(const bool came,
                        log_.wait_any(read_positions(partitions), base::Deadline::in(pause)));
    if (!came) break;
  }
  if (opened) last_batch_closed_ = base::monotonic_now();
  return opened;
}

}  // namespace millrace::sink
