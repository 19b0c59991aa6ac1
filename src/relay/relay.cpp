#include "relay/relay.h"

#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/text.h"
#include "ports/record_headers.h"

namespace millrace::relay {
namespace {

constexpr std::chrono::milliseconds kBackoffFirst{50};
constexpr std::chrono::milliseconds kBackoffLongest{
    2'000};  // also the longest that an outage of the store is felt after its end
constexpr std::chrono::milliseconds kRemovalInterval{10'000};
constexpr std::size_t kAppendBytesMax = 4u << 20u;

ports::NewRecord record_of(const ports::OutboxRow& row, std::uint64_t epoch, base::UtcTime now) {
  ports::NewRecord record;
  record.key = row.aggregate_id;
  record.value = row.payload;
  record.headers = {{std::string(ports::kHeaderEventId), std::to_string(row.id)},
                    {std::string(ports::kHeaderEpoch), std::to_string(epoch)},
                    {std::string(ports::kHeaderEventType), row.event_type}};
  record.time = now;
  return record;
}

/// Records for one partition, sent in calls of bounded size.
base::Result<void> append_all(ports::EventLog& log, const ports::TopicPartition& partition,
                              const std::vector<ports::NewRecord>& records,
                              std::chrono::milliseconds timeout) {
  std::size_t first = 0;
  while (first < records.size()) {
    std::size_t last = first;
    std::size_t bytes = 0;
    while (last < records.size() &&
           (last == first || bytes + ports::bytes_of(records[last]) <= kAppendBytesMax))
      bytes += ports::bytes_of(records[last++]);
    MILLRACE_TRY(
        log.append(partition, std::span(records).subspan(first, last - first), base::Deadline::in(timeout)));
    first = last;
  }
  return {};
}

}  // namespace

std::string topic_of(std::string_view aggregate_type) {
  return base::to_lower(aggregate_type) + ".events";
}

Relay::Relay(ports::Outbox& outbox, ports::EventLog& log, const ports::Clock& clock, Options options)
    : outbox_(outbox), log_(log), clock_(clock), options_(options) {}

base::Result<std::int32_t> Relay::partitions_of(const std::string& topic) {
  if (const auto known = partitions_.find(topic); known != partitions_.end()) return known->second;
  const auto deadline = base::Deadline::in(options_.call_timeout);
  auto info = log_.describe_topic(topic, deadline);
  if (!info && info.error().kind == base::ErrorKind::kNotFound)
    info = log_.ensure_topic(topic, options_.partitions, deadline);
  if (!info) return std::unexpected(std::move(info).error());
  partitions_[topic] = info->partitions;
  return info->partitions;
}

base::Result<std::size_t> Relay::relay_once(ports::OutboxLease& lease) {
  append_open_ = false;
  MILLRACE_TRY_ASSIGN(const auto rows,
                      lease.fetch(options_.batch_rows_max, base::Deadline::in(options_.call_timeout)));
  if (rows.empty()) return 0;

  std::map<ports::TopicPartition, std::vector<ports::NewRecord>> outgoing;
  std::vector<std::uint64_t> ids;
  ids.reserve(rows.size());
  std::set<std::string> held_back;  // aggregates with a parked row: their later rows were parked with it
  const base::UtcTime now = clock_.now();
  for (const ports::OutboxRow& row : rows) {
    if (held_back.contains(row.aggregate_id)) continue;
    const std::string topic = topic_of(row.aggregate_type);
    auto partitions = partitions_of(topic);
    if (!partitions && partitions.error().kind != base::ErrorKind::kInvalid)
      return std::unexpected(std::move(partitions).error());
    ports::NewRecord record = record_of(row, lease.epoch(), now);
    std::string reason;
    if (!partitions) reason = partitions.error().message;
    if (ports::bytes_of(record) > log_.record_bytes_max())
      reason = fmt::format("the event has {} bytes, the log takes {}", ports::bytes_of(record),
                           log_.record_bytes_max());
    if (!reason.empty()) {
      spdlog::error("outbox row {} of {} is parked with the later rows of the same order: {}", row.id,
                    row.aggregate_id, reason);
      MILLRACE_TRY(lease.park(row.id, row.aggregate_id, base::Deadline::in(options_.call_timeout)));
      held_back.insert(row.aggregate_id);
      ++stats_.rows_parked;
      continue;
    }
    outgoing[{topic, ports::partition_of(row.aggregate_id, *partitions)}].push_back(std::move(record));
    ids.push_back(row.id);
  }

  append_open_ = true;
  for (const auto& [partition, records] : outgoing)
    MILLRACE_TRY(append_all(log_, partition, records, options_.call_timeout));
  append_open_ = false;
  MILLRACE_TRY(lease.mark_processed(ids, base::Deadline::in(options_.call_timeout)));
  stats_.events_sent += ids.size();
  return ids.size();
}

base::Result<void> Relay::remove_old(ports::OutboxLease& lease) {
  if (!next_removal_.passed()) return {};
  const auto before = clock_.now() - options_.retention;
  MILLRACE_TRY_ASSIGN(
      const std::size_t removed,
      lease.remove_processed(before, options_.remove_rows_max, base::Deadline::in(options_.call_timeout)));
  stats_.rows_removed += removed;
  // A full portion means that there is more: go on at the next turn instead of holding up the events with one
  // long removal.
  if (removed < options_.remove_rows_max) next_removal_ = base::Deadline::in(kRemovalInterval);
  return {};
}

base::Result<void> Relay::serve(ports::OutboxLease& lease, const base::StopSignal& stop) {
  std::chrono::milliseconds pause = options_.poll_interval_min;
  base::Backoff backoff(kBackoffFirst, kBackoffLongest);
  while (!stop.requested()) {
    const auto moved = relay_once(lease);
    if (!moved) {
      // Whatever was appended stays unmarked and is sent again. After an append with no answer it goes on
      // under a new epoch: records of this one may reach the log long after their repeats, and are told by
      // it.
      partitions_.clear();
      if (moved.error().kind != base::ErrorKind::kUnavailable || append_open_)
        return std::unexpected(moved.error());
      spdlog::warn("relay: {}; trying again", moved.error().message);
      if (stop.wait_for(backoff.next())) return {};
      continue;
    }
    backoff.reset();
    if (auto removed = remove_old(lease); !removed) return removed;
    if (*moved > 0) {
      pause = options_.poll_interval_min;
      continue;
    }
    pause =
        bell_.wait_for(pause) ? options_.poll_interval_min : std::min(options_.poll_interval_max, pause * 2);
  }
  return {};
}

base::Result<void> Relay::run(const base::StopSignal& stop) {
  base::Backoff backoff(kBackoffFirst, kBackoffLongest);
  bool standing_by = false;
  while (!stop.requested()) {
    auto lease = outbox_.acquire(options_.shard, base::Deadline::in(options_.call_timeout));
    if (!lease && lease.error().kind == base::ErrorKind::kConflict) {
      if (!standing_by) spdlog::info("relay: another relay has shard {}; standing by", options_.shard);
      standing_by = true;
      stop.wait_for(options_.standby_interval);
      continue;
    }
    if (!lease) {
      spdlog::warn("relay: {}; trying again", lease.error().message);
      stop.wait_for(backoff.next());
      continue;
    }
    standing_by = false;
    stats_.active = true;
    spdlog::info("relay: shard {} taken with epoch {}", options_.shard, (*lease)->epoch());
    const std::uint64_t sent_before = stats_.events_sent;
    auto served = serve(**lease, stop);
    stats_.active = false;
    if (served) continue;
    if (stats_.events_sent > sent_before) backoff.reset();
    if (served.error().kind == base::ErrorKind::kFatal) return served;
    spdlog::warn("relay: lost shard {}: {}", options_.shard, served.error().message);
    stop.wait_for(backoff.next());
  }
  return {};
}

}  // namespace millrace::relay
