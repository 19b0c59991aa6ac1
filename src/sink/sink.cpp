#include "sink/sink.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/text.h"
#include "ports/record_headers.h"

namespace millrace::sink {
namespace {

constexpr std::chrono::milliseconds kBackoffFirst{50};
constexpr std::chrono::milliseconds kBackoffLongest{
    2'000};  // also the longest that an outage of the warehouse is felt after its end
// While nothing comes and a position is being written: how soon its outcome is looked at.
constexpr std::chrono::milliseconds kPositionPollInterval{20};
// Source: ClickHouse, ErrorCodes.cpp, VIOLATED_CONSTRAINT.
constexpr int kViolatedConstraint = 469;

/// What the new tables' constraint answers to sums of the generation that they replaced.
bool is_of_former_generation(const base::Error& error) {
  return error.vendor_code == kViolatedConstraint &&
         error.message.find("onstraint `generation`") != std::string::npos;
}

// A commit of ours says so: offsets that somebody set are no promise that the rows below are loaded.
constexpr std::string_view kOwnCommit = "loaded";
constexpr std::chrono::milliseconds kLookTimeout{1'000};

}  // namespace

std::int64_t needed_from(const ports::CommittedOffset& committed) {
  return committed.metadata == kOwnCommit ? committed.offset : 0;
}

Sink::Sink(ports::EventLog& log, SinkTables& tables, const ports::Clock& clock, Options options)
    : log_(log),
      clock_(clock),
      tables_(tables),
      options_(std::move(options)),
      base_rows_(tables, clock,
                 {.insert_timeout = options_.insert_timeout,
                  .query_timeout = options_.query_timeout,
                  .purged_check_age = options_.purged_check_age}) {}

base::Result<Sink::Partition> Sink::open(const ports::Assignment& assignment, const std::string& topic_id) {
  Partition partition;
  partition.assignment = assignment;
  partition.topic_id = topic_id;
  partition.source = source_name(generation_, topic_id, assignment.partition.partition);
  // The position first, the sums after it: a sum that is newer than the position is skipped up to its own
  // offset, one that is older would have been false.
  MILLRACE_TRY_ASSIGN(partition.loaded,
                      tables_.position(partition.source, base::Deadline::in(options_.query_timeout)));
  partition.read = partition.recorded = partition.loaded;
  if (partition.loaded == SinkPosition{}) {
    MILLRACE_TRY_ASSIGN(const bool former,
                        tables_.has_former_topic_id(partition.source, generation_,
                                                    base::Deadline::in(options_.query_timeout)));
    // What was loaded of it counts, what was not is gone: nobody can tell the two apart any more.
    if (former)
      return base::fatal(fmt::format(
          "topic {} was deleted and recreated, and rows that were not loaded may have gone with it: "
          "load the warehouse anew (millrace up --rebuild)",
          assignment.partition.topic));
  }
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log_.offsets(assignment.partition, soon()));
  const auto position = static_cast<std::int64_t>(partition.loaded.as_of_offset);
  if (position < range.begin)
    return base::fatal(fmt::format(
        "rows of partition {} of {} were removed from the log before they were loaded (next is {}, the log "
        "starts at {}): the sums cannot be right without them; load the warehouse anew (millrace up "
        "--rebuild)",
        assignment.partition.partition, assignment.partition.topic, position, range.begin));
  if (position > range.end)
    return base::fatal(fmt::format(
        "the position {} in the warehouse lies beyond the end {} of partition {} of {}: the log lost "
        "acknowledged rows; load the warehouse anew (millrace up --rebuild)",
        position, range.end, assignment.partition.partition, assignment.partition.topic));
  MILLRACE_TRY_ASSIGN(partition.cache, tables_.load_cache(partition.source, options_.cached_keys_max,
                                                          base::Deadline::in(options_.query_timeout)));
  MILLRACE_TRY_ASSIGN(const auto committed, log_.committed(options_.group, assignment.partition, soon()));
  partition.committed = committed && committed->metadata == kOwnCommit ? committed->offset : -1;
  spdlog::log(opens_told_ ? spdlog::level::debug : spdlog::level::info,
              "sink: partition {} resumed at offset {} of {} ({} cumulative aggregates in memory)",
              assignment.partition.partition, position, range.end, partition.cache.size());
  return partition;
}

base::Result<void> Sink::follow_assignments(ports::GroupMember& member) {
  MILLRACE_TRY_ASSIGN(const auto assigned, member.assignments(soon()));
  std::erase_if(partitions_, [&](const auto& entry) {
    return std::ranges::find(assigned, entry.second.assignment) == assigned.end();
  });
  stats_.partitions = partitions_.size();
  if (std::ranges::all_of(assigned, [&](const auto& entry) { return partitions_.contains(entry.partition); }))
    return {};
  MILLRACE_TRY(look_at_topic(soon()));
  for (const ports::Assignment& assignment : assigned) {
    if (partitions_.contains(assignment.partition)) continue;
    MILLRACE_TRY_ASSIGN(Partition partition, open(assignment, topic_id_));
    partitions_.emplace(assignment.partition, std::move(partition));
  }
  stats_.partitions = partitions_.size();
  return {};
}

/// Takes what there is into the batch, each partition its share. Returns the bytes.
base::Result<std::size_t> Sink::collect(std::span<const ports::LogPosition> positions,
                                        ports::ReadLimit limit) {
  MILLRACE_TRY_ASSIGN(const auto reads, ports::read_shared(log_, positions, limit, read_turn_++));
  std::size_t bytes = 0;
  for (const ports::PartitionRead& read : reads) {
    MILLRACE_TRY_ASSIGN(const std::size_t added, add_records(partitions_.at(read.partition), read.records));
    bytes += added;
  }
  return bytes;
}

base::Result<std::size_t> Sink::add_records(Partition& partition, std::span<const ports::Record> records) {
  const ports::TopicPartition& source = partition.assignment.partition;
  std::vector<ports::NewRecord> dead_letters;
  const std::uint64_t dropped_before = stats_.repeats_dropped;
  std::size_t bytes = 0;
  for (const ports::Record& record : records) {
    bytes += ports::bytes_of(record);
    partition.read.as_of_offset = static_cast<std::uint64_t>(record.offset) + 1;
    const auto offset_text = record.header(ports::kHeaderInputOffset);
    const auto input_offset = offset_text ? base::parse_int<std::int64_t>(*offset_text) : std::nullopt;
    if (input_offset && *input_offset <= partition.read.input_offset) {
      ++stats_.repeats_dropped;
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
  if (const auto dropped = stats_.repeats_dropped - dropped_before; dropped > 0)
    spdlog::info("sink: dropped {} repeats from partition {}", dropped, source.partition);
  if (!dead_letters.empty()) {
    MILLRACE_TRY(log_.append({options_.dead_letter_topic, source.partition}, dead_letters, soon()));
    stats_.dead_letters += dead_letters.size();
  }
  return bytes;
}

/// Marks the rows whose change the snapshot of the generation holds already: the order stood in it at this
/// version or a newer one. A pure function of the row and of a snapshot that no longer changes, so sums stay
/// a function of the log; and asked for old versions only, so an ordinary batch asks nothing.
base::Result<void> Sink::mark_snapshot_rows() {
  if (generation_.number == 0) return {};
  const auto may_be_known = [&](const PendingRow& pending) {
    return pending.row.version <= generation_.snapshot_version_max;
  };
  std::set<domain::OrderId> orders;
  for (const auto& [key, partition] : partitions_)
    for (const PendingRow& pending : partition.pending)
      if (may_be_known(pending)) orders.insert(pending.row.order_id);
  if (orders.empty()) return {};
  const std::vector<domain::OrderId> asked(orders.begin(), orders.end());
  MILLRACE_TRY_ASSIGN(
      const auto versions,
      tables_.snapshot_versions(generation_.number, asked, base::Deadline::in(options_.query_timeout)));
  for (auto& [key, partition] : partitions_)
    for (PendingRow& pending : partition.pending) {
      if (!may_be_known(pending)) continue;
      const auto found = versions.find(pending.row.order_id);
      pending.counts = found == versions.end() || pending.row.version > found->second;
    }
  return {};
}

/// Rows whose sums are in, or soon are, and whose base rows never can be: letters that say so.
base::Result<void> Sink::send_base_rows_to_dlq(const std::vector<RefusedRow>& refused) {
  std::map<const domain::AnalyticsRow*, const RefusedRow*> reasons;
  for (const RefusedRow& row : refused) reasons.emplace(row.row, &row);
  for (const auto& [source, partition] : partitions_) {
    std::vector<ports::NewRecord> letters;
    for (const PendingRow& pending : partition.pending) {
      const auto reason = reasons.find(&pending.row);
      if (reason == reasons.end()) continue;
      // The record itself, for the letter: the row in memory has lost its headers.
      MILLRACE_TRY_ASSIGN(const auto records, log_.read(source, static_cast<std::int64_t>(pending.offset),
                                                        {1, options_.batch_bytes_max},
                                                        base::Deadline::in(std::chrono::milliseconds(0))));
      if (records.empty())
        return base::unavailable("a row to be put aside cannot be read from the log again");
      letters.push_back(ports::dead_letter_of(records.front(), source, partition.topic_id,
                                              reason->second->reason, clock_.now(), log_.record_bytes_max()));
      letters.back().headers.push_back({std::string(ports::kHeaderHalf), std::string(ports::kHalfBase)});
      spdlog::error("sink: dead letter from partition {} offset {}, base row only: {}", source.partition,
                    pending.offset, reason->second->detail);
    }
    if (letters.empty()) continue;
    MILLRACE_TRY(log_.append({options_.dead_letter_topic, source.partition}, letters, soon()));
    stats_.dead_letters += letters.size();
  }
  return {};
}

void Sink::note_success() {
  opens_told_ = false;
  if (const auto lasted = outage_.over()) spdlog::info("sink: goes on after {} s", lasted->count());
}

base::Result<void> Sink::flush(const base::StopSignal& stop) {
  std::map<ports::TopicPartition, RollupMap<CumulativeAggregate>> sums;
  std::vector<const domain::AnalyticsRow*> base_rows;
  std::vector<RollupRow> rollup_rows;
  std::optional<base::UtcTime> oldest;
  MILLRACE_TRY(mark_snapshot_rows());
  for (auto& [key, partition] : partitions_) {
    if (partition.pending.empty()) continue;
    MILLRACE_TRY_ASSIGN(auto next, next_sums(tables_, partition.cache, partition.source,
                                             partition.loaded.as_of_offset, partition.read.as_of_offset,
                                             partition.pending, base::Deadline::in(options_.query_timeout)));
    stats_.keys_read += next.keys_read;
    const auto& stored = sums.emplace(key, std::move(next.sums)).first->second;
    for (const auto& [rollup, sum] : stored) rollup_rows.push_back({&rollup, &partition.source, sum});
    for (const PendingRow& pending : partition.pending) {
      base_rows.push_back(&pending.row);
      if (!oldest || pending.row.occurred_at < *oldest) oldest = pending.row.occurred_at;
    }
  }
  if (std::size_t rows = base_rows.size(); rows > 0) {
    // Orders that were purged stay out, but their sums go on counting as always: they are a function of the
    // log.
    MILLRACE_TRY_ASSIGN(const base::UtcTime not_after, base_rows_.prepare(base_rows));
    stats_.purged_rows_skipped = base_rows_.skipped();
    const auto deadline = base::Deadline::in(options_.insert_timeout);
    base::AsyncTask base_insert([&] {
      const telemetry::Timer timer(options_.metrics.insert_base);
      return base_rows_.insert(base_rows, not_after, deadline);
    });
    base::Result<void> rollups = {};
    if (!rollup_rows.empty()) {
      const telemetry::Timer timer(options_.metrics.insert_rollups);
      rollups = tables_.insert_rollups(rollup_rows, deadline);
    }
    const base::Result<void> base = base_insert.outcome();
    if (base.has_value() != rollups.has_value()) {
      ++stats_.half_batches;
      spdlog::info("sink: half of a batch was acknowledged, the {}",
                   base ? "base rows" : "cumulative aggregates");
    }
    if (!rollups) return rollups;
    if (!base && base.error().kind == base::ErrorKind::kRejected) {
      const auto insert = [&](std::vector<const domain::AnalyticsRow*> part) -> base::Result<void> {
        if (stop.requested()) return base::unavailable("stopped while looking for rows to put aside");
        MILLRACE_TRY_ASSIGN(const base::UtcTime until, base_rows_.prepare(part));
        return base_rows_.insert(part, until, base::Deadline::in(options_.insert_timeout));
      };
      MILLRACE_TRY_ASSIGN(const auto refused, bisect_insert(base_rows, base.error(), insert));
      MILLRACE_TRY(send_base_rows_to_dlq(refused));
      rows -= refused.size();
    } else if (!base) {
      return base;
    }
    ++stats_.batches;
    stats_.rows_loaded += rows;
    const base::UtcTime visible = clock_.now();
    stats_.last_freshness_ms = base::to_ms(visible) - base::to_ms(*oldest);
    options_.metrics.batch_rows.observe(static_cast<double>(rows));
    for (const domain::AnalyticsRow* row : base_rows)
      options_.metrics.freshness.observe(std::chrono::milliseconds(visible - row->occurred_at));
  }
  for (auto& [key, partition] : partitions_) {
    if (const auto written = sums.find(key); written != sums.end()) {
      for (const auto& [rollup, sum] : written->second) partition.cache.store(rollup, sum);
      partition.cache.shrink();
    }
    partition.pending.clear();
    partition.loaded = partition.read;
  }
  return {};
}

/// The commit to the log only serves displays of lag: when it fails, the stage goes on and tries again later.
/// Whether a partition has passed to another the assignments say.
void Sink::commit_positions(ports::GroupMember& member, bool at_once) {
  if (!at_once && !commit_due_.passed()) return;
  std::vector<ports::AssignmentCommit> commits;
  for (const auto& [key, partition] : partitions_)
    if (const auto recorded = static_cast<std::int64_t>(partition.recorded.as_of_offset);
        partition.committed != recorded)
      commits.push_back({partition.assignment, {recorded, std::string(kOwnCommit)}});
  if (commits.empty()) return;
  const auto committed = member.commit_all(commits, base::Deadline::in(options_.commit_timeout));
  if (!committed) {
    if (commit_outage_.should_log(committed.error()))
      spdlog::log(
          committed.error().kind == base::ErrorKind::kConflict ? spdlog::level::info : spdlog::level::warn,
          "sink: {}; going on, and trying again", committed.error().message);
    commit_due_ = base::Deadline::in(commit_backoff_.next());
    return;
  }
  for (auto& [key, partition] : partitions_)
    partition.committed = static_cast<std::int64_t>(partition.recorded.as_of_offset);
  commit_backoff_.reset();
  if (const auto lasted = commit_outage_.over())
    spdlog::info("sink: commits succeed again after {} s", lasted->count());
}

/// Errors: kConflict if it was recreated under partitions that are open; as the log's.
base::Result<void> Sink::look_at_topic(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto topic, log_.describe_topic(options_.topic, deadline));
  MILLRACE_TRY(ports::ensure_partitions(log_, options_.dead_letter_topic, topic.partitions, deadline));
  const bool same = topic.topic_id == topic_id_;
  const bool opened = !partitions_.empty();
  topic_id_ = topic.topic_id;
  next_look_ = base::Deadline::in(options_.topic_check_interval);
  if (!same && opened)
    return base::conflict(fmt::format("topic {} was deleted and recreated", options_.topic));
  return {};
}

/// While the stage runs: briefly, for a broker that does not answer must not hold up those that do. This is
/// also what notices an outage of the log when nothing comes.
base::Result<void> Sink::look_again() {
  if (!next_look_.passed()) return {};
  auto looked = look_at_topic(base::Deadline::in(kLookTimeout));
  log_is_silent_ = !looked;
  if (looked || looked.error().kind != base::ErrorKind::kUnavailable) return looked;
  next_look_ = base::Deadline::in(options_.topic_check_interval);
  if (outage_.should_log(looked.error()))
    spdlog::warn("sink: {}; trying again, for as long as it takes ({} s so far)", looked.error().message,
                 outage_.lasting().count());
  return {};
}

/// Keeps the position in the warehouse behind the acknowledged parts: one write in flight, its result taken
/// before the next. With `wait` it ends with all positions written.
base::Result<void> Sink::settle_positions(ports::GroupMember& member, bool wait) {
  for (;;) {
    if (position_write_) {
      if (!wait && !position_write_->ended()) return {};
      const base::Result<void> written = position_write_->outcome();
      position_write_.reset();
      if (!written) return written;
      for (const auto& [key, position] : position_being_written_) {
        const auto entry = partitions_.find(key);
        if (entry == partitions_.end()) continue;
        entry->second.recorded = position;
      }
    }
    commit_positions(member, wait);
    const auto now = base::monotonic_now();
    if (!wait && now - last_position_write_ < options_.position_interval) return {};
    std::map<std::string, SinkPosition> positions;
    position_being_written_.clear();
    for (const auto& [key, partition] : partitions_) {
      if (partition.loaded == partition.recorded) continue;
      positions.emplace(partition.source, partition.loaded);
      position_being_written_.emplace(key, partition.loaded);
    }
    if (positions.empty()) return {};
    last_position_write_ = now;
    position_write_.emplace([this, positions = std::move(positions)] {
      return tables_.write_positions(positions, clock_.now(), base::Deadline::in(options_.insert_timeout));
    });
    if (!wait) return {};
  }
}

std::size_t Sink::pending_rows() const {
  std::size_t rows = 0;
  for (const auto& [key, partition] : partitions_) rows += partition.pending.size();
  return rows;
}

std::vector<ports::LogPosition> Sink::positions() const {
  std::vector<ports::LogPosition> positions;
  positions.reserve(partitions_.size());
  for (const auto& [key, partition] : partitions_)
    positions.push_back({key, static_cast<std::int64_t>(partition.read.as_of_offset)});
  return positions;
}

base::Result<void> Sink::serve(const base::StopSignal& stop) {
  if (position_write_) position_write_->wait();
  position_write_.reset();
  partitions_.clear();
  base_rows_.forget_time();
  MILLRACE_TRY_ASSIGN(generation_, tables_.generation(base::Deadline::in(options_.query_timeout)));
  MILLRACE_TRY(look_at_topic(soon()));
  log_is_silent_ = false;
  MILLRACE_TRY_ASSIGN(const auto member, log_.join(options_.group, options_.topic, soon()));

  while (!stop.requested()) {
    MILLRACE_TRY(look_again());
    MILLRACE_TRY(follow_assignments(*member));
    // A batch is open from its first record until it is full, or until `max_delay` after the last one was
    // closed: a row that comes after a pause is written at once, and under load the delay bounds how many
    // parts the tables get a second.
    std::size_t bytes = 0;
    auto close_at = base::Deadline::in(options_.idle_wait);
    bool opened = false;
    for (;;) {
      MILLRACE_TRY_ASSIGN(
          const std::size_t taken,
          collect(positions(), {options_.batch_rows_max - pending_rows(), options_.batch_bytes_max - bytes}));
      bytes += taken;
      const auto next = positions();
      if (bytes > 0 && !opened) {
        opened = true;
        close_at = base::Deadline::at(last_batch_closed_ + options_.max_delay);
      }
      const bool full = pending_rows() >= options_.batch_rows_max || bytes >= options_.batch_bytes_max;
      if (full || stop.requested() || next.empty() || (opened && close_at.passed())) break;
      if (opened) {
        MILLRACE_TRY(log_.wait_any(next, close_at));
        continue;
      }
      MILLRACE_TRY(settle_positions(*member, false));
      const auto pause = position_write_ ? kPositionPollInterval : options_.idle_wait;
      MILLRACE_TRY_ASSIGN(const bool came, log_.wait_any(next, base::Deadline::in(pause)));
      if (!came) break;
    }
    if (partitions_.empty()) stop.wait_for(options_.idle_wait);
    if (opened) last_batch_closed_ = base::monotonic_now();
    MILLRACE_TRY(flush(stop));
    MILLRACE_TRY(settle_positions(*member, false));
    if (opened) log_is_silent_ = false;
    if (!partitions_.empty() && !log_is_silent_) note_success();
  }
  return settle_positions(*member, true);
}

base::Result<void> Sink::run(const base::StopSignal& stop) {
  base::Backoff backoff(kBackoffFirst, kBackoffLongest);
  while (!stop.requested()) {
    const std::uint64_t batches_before = stats_.batches;
    auto served = serve(stop);
    if (served) return {};
    if (served.error().kind == base::ErrorKind::kFatal) return served;
    ++stats_.restarts;
    // An outage is over when a batch got through; the next one starts with short pauses again.
    if (stats_.batches > batches_before) backoff.reset();
    if (stop.requested()) break;
    opens_told_ |= !partitions_.empty();
    if (is_of_former_generation(served.error()))
      spdlog::info("sink: the tables have a new generation; starting again in it");
    else if (outage_.should_log(served.error()))
      spdlog::warn(
          "sink: {}; trying again from the position in the warehouse, for as long as it takes ({} s so far)",
          served.error().message, outage_.lasting().count());
    stop.wait_for(backoff.next());
  }
  return {};
}

}  // namespace millrace::sink
