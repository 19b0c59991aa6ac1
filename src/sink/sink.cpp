#include "sink/sink.h"

#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace millrace::sink {
namespace {

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

}  // namespace

std::int64_t needed_from(const ports::CommittedOffset& committed) {
  return committed.metadata == kOwnCommit ? committed.offset : 0;
}

Sink::Sink(ports::EventLog& log, SinkTables& tables, const ports::Clock& clock, Options options)
    : log_(log),
      tables_(tables),
      options_(std::move(options)),
      collector_(log, clock, options_, stats_),
      writer_(log, tables, clock, options_, stats_),
      position_writer_(tables, clock, options_),
      committer_({.stage = "sink", .timeout = options_.commit_timeout}),
      loop_(log, *this, stats_,
            {.stage = "sink",
             .resumes_from = "the position in the warehouse",
             .group = options_.group,
             .topic = options_.topic,
             .idle_wait = options_.idle_wait,
             .call_timeout = options_.call_timeout,
             .topic_check_interval = options_.topic_check_interval}) {}

base::Result<void> Sink::reset() {
  position_writer_.abandon();
  partitions_.clear();
  writer_.reset();
  MILLRACE_TRY_ASSIGN(generation_, tables_.generation(base::Deadline::in(options_.query_timeout)));
  return {};
}

base::Result<void> Sink::check_topics(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto topic, log_.describe_topic(options_.topic, deadline));
  MILLRACE_TRY(ports::ensure_partitions(log_, options_.dead_letter_topic, topic.partitions, deadline));
  const bool same = topic.topic_id == topic_id_;
  topic_id_ = topic.topic_id;
  if (!same && !partitions_.empty())
    return base::conflict(fmt::format("topic {} was deleted and recreated", options_.topic));
  return {};
}

/// The rows between the position and the log's end must all be there. Errors: kFatal.
base::Result<void> Sink::check_range(const Partition& partition, const ports::OffsetRange& range) {
  const ports::TopicPartition& source = partition.assignment.partition;
  const auto position = static_cast<std::int64_t>(partition.loaded.as_of_offset);
  if (position < range.begin)
    return base::fatal(fmt::format(
        "rows of partition {} of {} were removed from the log before they were loaded (next is {}, the log "
        "starts at {}): the sums cannot be right without them; rebuild the warehouse (millrace up "
        "--rebuild)",
        source.partition, source.topic, position, range.begin));
  if (position > range.end)
    return base::fatal(fmt::format(
        "the position {} in the warehouse lies beyond the end {} of partition {} of {}: the log lost "
        "acknowledged rows; rebuild the warehouse (millrace up --rebuild)",
        position, range.end, source.partition, source.topic));
  return {};
}

base::Result<void> Sink::open(const ports::Assignment& assignment) {
  const auto query_deadline = [&] { return base::Deadline::in(options_.query_timeout); };
  Partition partition;
  partition.assignment = assignment;
  partition.topic_id = topic_id_;
  partition.source = source_name(generation_, topic_id_, assignment.partition.partition);
  // The position first, the sums after it: a sum that is newer than the position is skipped up to its own
  // offset, one that is older would have been false.
  MILLRACE_TRY_ASSIGN(partition.loaded, tables_.position(partition.source, query_deadline()));
  partition.read = partition.recorded = partition.loaded;
  if (partition.loaded == SinkPosition{}) {
    MILLRACE_TRY_ASSIGN(const bool former,
                        tables_.has_former_topic_id(partition.source, generation_, query_deadline()));
    // What was loaded of it counts, what was not is gone: nobody can tell the two apart any more.
    if (former)
      return base::fatal(fmt::format(
          "topic {} was deleted and recreated, and rows that were not loaded may have gone with it: "
          "rebuild the warehouse (millrace up --rebuild)",
          assignment.partition.topic));
  }
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log_.offsets(assignment.partition, soon()));
  MILLRACE_TRY(check_range(partition, range));
  MILLRACE_TRY_ASSIGN(partition.cache,
                      tables_.load_cache(partition.source, options_.cached_keys_max, query_deadline()));
  MILLRACE_TRY_ASSIGN(const auto committed, log_.committed(options_.group, assignment.partition, soon()));
  partition.committed = committed && committed->metadata == kOwnCommit ? committed->offset : -1;
  spdlog::log(loop_.opened_before_in_this_outage() ? spdlog::level::debug : spdlog::level::info,
              "sink: partition {} resumed at offset {} of {} ({} cumulative aggregates in memory)",
              assignment.partition.partition, partition.loaded.as_of_offset, range.end,
              partition.cache.size());
  partitions_.insert_or_assign(assignment.partition, std::move(partition));
  return {};
}

/// The commit to the log only serves displays of lag: what counts is the position in the warehouse.
base::Result<void> Sink::commit_positions(ports::GroupMember& member) {
  std::vector<ports::AssignmentCommit> commits;
  for (const auto& [key, partition] : partitions_)
    if (const auto recorded = static_cast<std::int64_t>(partition.recorded.as_of_offset);
        partition.committed != recorded)
      commits.push_back({partition.assignment, {recorded, std::string(kOwnCommit)}});
  if (commits.empty()) return {};
  MILLRACE_TRY_ASSIGN(const bool committed, committer_.commit(member, commits));
  if (!committed) return {};
  for (const ports::AssignmentCommit& commit : commits)
    partitions_.at(commit.assignment.partition).committed = commit.offset.offset;
  return {};
}

base::Result<bool> Sink::step(ports::GroupMember& member, const base::StopSignal& stop) {
  const auto settle = [&]() -> base::Result<void> {
    MILLRACE_TRY(position_writer_.advance(partitions_));
    return committer_.is_due() ? commit_positions(member) : base::Result<void>{};
  };
  const auto idle = [&]() -> base::Result<std::chrono::milliseconds> {
    MILLRACE_TRY(settle());
    return position_writer_.is_writing() ? kPositionPollInterval : options_.idle_wait;
  };
  MILLRACE_TRY_ASSIGN(const bool moved, collector_.collect(partitions_, stop, idle));
  MILLRACE_TRY(writer_.write(partitions_, generation_, stop));
  MILLRACE_TRY(settle());
  return moved;
}

base::Result<void> Sink::finish(ports::GroupMember& member) {
  MILLRACE_TRY(position_writer_.finish(partitions_));
  return commit_positions(member);
}

bool Sink::is_expected(const base::Error& error) {
  if (!is_of_former_generation(error)) return false;
  spdlog::info("sink: the tables have a new generation; restarting in it");
  return true;
}

}  // namespace millrace::sink
