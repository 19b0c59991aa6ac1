#include "relay/relay.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/text.h"
#include "ports/record_headers.h"
#include "relay/event_spans.h"

namespace millrace::relay {
namespace {

constexpr std::chrono::milliseconds kBackoffFirst{50};
// Also the longest that an outage of the store is felt after its end.
constexpr std::chrono::milliseconds kBackoffLongest{2'000};
constexpr std::size_t kAppendsMax = 64;
// The log's own verdict comes before ours: it knows why.
constexpr std::chrono::milliseconds kVerdictTime{2'000};
// Rows that were acknowledged wait so long for others to be marked with them.
constexpr std::chrono::milliseconds kMarkDelay{25};
constexpr std::chrono::milliseconds kHeartbeatInterval{1'000};
constexpr std::chrono::milliseconds kTopicCheckInterval{30'000};
constexpr std::chrono::milliseconds kTopicCheckTimeout{1'000};

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

}  // namespace

std::string topic_of(std::string_view aggregate_type) {
  return base::to_lower(aggregate_type) + ".events";
}

Relay::Relay(ports::Outbox& outbox, ports::EventLog& log, const ports::Clock& clock, Options options)
    : outbox_(outbox),
      log_(log),
      clock_(clock),
      options_(std::move(options)),
      in_flight_(options_.batch_rows_max, kAppendsMax),
      topics_({options_.shards, options_.batch_rows_max, options_.accepted_topic_id,
               options_.accepts_new_topics}),
      pacer_(options_.poll_interval_min, options_.poll_interval_max) {}

// --- one lease after the other

base::Result<void> Relay::run(const base::StopSignal& stop) {
  base::Backoff backoff(kBackoffFirst, kBackoffLongest);
  std::string standing_by;
  while (!stop.requested()) {
    auto lease = outbox_.acquire(options_.shard, base::Deadline::in(options_.call_timeout));
    if (!lease && lease.error().kind == base::ErrorKind::kConflict) {
      if (standing_by != lease.error().message) spdlog::info("relay: {}; standing by", lease.error().message);
      standing_by = lease.error().message;
      stop.wait_for(options_.standby_interval);
      continue;
    }
    if (!lease) {
      log_failure(lease.error());
      stop.wait_for(backoff.next());
      continue;
    }
    standing_by.clear();
    stats_.active = true;
    ++stats_.take_overs;
    spdlog::log(outage_.lasting() > std::chrono::seconds(0) ? spdlog::level::debug : spdlog::level::info,
                "relay: shard {} taken with epoch {}", options_.shard, (*lease)->epoch());
    const std::uint64_t sent_before = stats_.events_sent;
    start_lease();
    auto ended = run_lease(**lease, stop);
    drop_in_flight();
    stats_.active = false;
    if (ended) continue;
    if (stats_.events_sent > sent_before) backoff.reset();
    if (ended.error().kind == base::ErrorKind::kFatal) return ended;
    log_failure(ended.error());
    stop.wait_for(backoff.next());
  }
  return {};
}

/// Under this lease nothing is known yet.
void Relay::start_lease() {
  drop_in_flight();
  topics_.start_lease();
}

/// What is in flight stays unmarked, and is sent again.
void Relay::drop_in_flight() {
  // Others may have marked what an earlier lease left.
  if (sent_unmarked_.size() > 4 * options_.batch_rows_max) sent_unmarked_.clear();
  sent_unmarked_.merge(in_flight_.drop());
  appends_.clear();
  fetch_from_start_ = true;
}

base::Result<void> Relay::run_lease(ports::OutboxLease& lease, const base::StopSignal& stop) {
  pacer_.on_work_done();
  base::Backoff backoff(kBackoffFirst, kBackoffLongest);
  for (;;) {
    const bool stopping = stop.requested();
    if (stopping && in_flight_.empty()) return {};
    auto more = step(lease, stopping);
    if (more && *more) pacer_.on_work_done();
    if (more && !*more) {
      if (auto waited = wait(lease); !waited) more = std::unexpected(std::move(waited).error());
    }
    if (more) {
      backoff.reset();
      log_progress();
      continue;
    }
    // Whatever was appended stays unmarked and is sent again. After an append with no answer that is under a
    // new epoch: records of this one may reach the log long after their repeats, and are told by it.
    const bool is_open = !in_flight_.all_acknowledged();
    drop_in_flight();
    topics_.forget_all();
    if (more.error().kind != base::ErrorKind::kUnavailable || is_open || stopping)
      return std::unexpected(std::move(more).error());
    log_failure(more.error());
    if (stop.wait_for(backoff.next())) return {};
  }
}

base::Result<bool> Relay::step(ports::OutboxLease& lease, bool stopping) {
  MILLRACE_TRY(poll_acks(base::Deadline::in(std::chrono::milliseconds(0))));
  const bool may_send = !stopping && in_flight_.may_send() && pacer_.is_due();
  const bool was_full = in_flight_.is_full();
  std::size_t sent = 0;
  if (may_send) {
    MILLRACE_TRY_ASSIGN(sent, send_next(lease));
  }
  if (sent > 0) pacer_.on_rows_sent();
  // While rows keep coming those that are acknowledged wait a little, to be marked together.
  const bool is_last = stopping || (may_send ? sent == 0 : was_full);
  if (in_flight_.has_markable() && (is_last || mark_by_.passed())) {
    MILLRACE_TRY(mark(lease));
    return true;
  }
  return sent >= in_flight_.portion();
}

base::Result<void> Relay::wait(ports::OutboxLease& lease) {
  if (in_flight_.empty()) {
    pacer_.on_idle_end(wake_.wait_for(pacer_.idle_pause()));
    return {};
  }
  // Rows that come meanwhile are sent without waiting for the answer.
  const auto span = std::clamp(pacer_.until_due(), std::chrono::milliseconds(1), kHeartbeatInterval);
  bool woken = false;
  if (in_flight_.all_acknowledged()) {
    woken = wake_.wait_for(std::min(span, std::max(mark_by_.left(), std::chrono::milliseconds(1))));
  } else {
    MILLRACE_TRY(poll_acks(base::Deadline::in(span)));
    woken = wake_.wait_for(std::chrono::milliseconds(0));
  }
  if (woken) pacer_.look_now();
  if (heartbeat_by_.passed()) {
    MILLRACE_TRY(lease.heartbeat(base::Deadline::in(options_.call_timeout)));
    heartbeat_by_ = base::Deadline::in(kHeartbeatInterval);
  }
  return {};
}

// --- the parts of a step

/// Takes the acknowledgements that are there, waiting for the first of them until `until`.
base::Result<void> Relay::poll_acks(base::Deadline until) {
  while (!appends_.empty()) {
    Append& oldest = appends_.front();
    auto done = oldest.pending->wait(until);
    if (!done) return std::unexpected(std::move(done).error());
    if (!*done && oldest.deadline.passed())
      return base::unavailable(fmt::format("the log has not acknowledged {} events within {} ms", oldest.rows,
                                           options_.call_timeout.count()));
    if (!*done) return {};
    if (!in_flight_.has_markable()) mark_by_ = base::Deadline::in(kMarkDelay);
    in_flight_.on_ack();
    record_acknowledged(options_.tracer, std::move(oldest.spans));
    appends_.pop_front();
    until = base::Deadline::in(std::chrono::milliseconds(0));
  }
  return {};
}

/// Reads the next rows and starts to send them; how many there were that are not in flight.
base::Result<std::size_t> Relay::send_next(ports::OutboxLease& lease) {
  MILLRACE_TRY_ASSIGN(const auto rows, fetch_next(lease));
  heartbeat_by_ = base::Deadline::in(kHeartbeatInterval);
  // A full portion promises more; else the next look comes with the next pause, also while answers come in.
  if (rows.size() < in_flight_.portion()) pacer_.on_outbox_drained();
  if (rows.empty()) {
    if (in_flight_.empty()) MILLRACE_TRY(on_empty(lease));
    return 0;
  }
  MILLRACE_TRY_ASSIGN(Outgoing outgoing, prepare(lease, rows));
  const std::size_t sent = outgoing.ids.size();
  if (sent > 0) MILLRACE_TRY(send(std::move(outgoing)));
  return sent;
}

base::Result<std::vector<ports::OutboxRow>> Relay::fetch_next(ports::OutboxLease& lease) {
  const std::size_t portion = in_flight_.portion();
  if (!std::exchange(fetch_from_start_, false) && !in_flight_.empty()) {
    const std::uint64_t last = in_flight_.last_id();
    MILLRACE_TRY_ASSIGN(auto rows, lease.fetch(last, portion, base::Deadline::in(options_.call_timeout)));
    if (rows.empty()) return rows;
    // A row with a lower id may be committed late, and a later one of its order be among those just read.
    // Asked after them, the store shows it; then the look starts at the first row.
    MILLRACE_TRY_ASSIGN(const std::size_t below,
                        lease.waiting_up_to(last, base::Deadline::in(options_.call_timeout)));
    if (below <= in_flight_.rows()) return rows;
  }
  return lease.fetch(0, portion + in_flight_.rows(), base::Deadline::in(options_.call_timeout));
}

base::Result<Relay::Outgoing> Relay::prepare(ports::OutboxLease& lease,
                                             const std::vector<ports::OutboxRow>& rows) {
  Outgoing outgoing;
  outgoing.ids.reserve(rows.size());
  std::set<std::string> parked;  // orders whose later rows were parked with an earlier one
  const base::UtcTime now = clock_.now();
  for (const ports::OutboxRow& row : rows) {
    if (outgoing.ids.size() == in_flight_.portion()) break;
    if (in_flight_.contains(row.id) || parked.contains(row.aggregate_id)) continue;
    const std::string topic = topic_of(row.aggregate_type);
    auto partitions = partitions_of(lease, topic);
    if (!partitions && partitions.error().kind != base::ErrorKind::kInvalid)
      return std::unexpected(std::move(partitions).error());
    ports::NewRecord record = record_of(row, lease.epoch(), now);
    std::string reason;
    if (!partitions) reason = partitions.error().message;
    if (ports::bytes_of(record) > log_.record_bytes_max())
      reason = fmt::format("the event has {} bytes, the log takes {}", ports::bytes_of(record),
                           log_.record_bytes_max());
    if (!reason.empty()) {
      MILLRACE_TRY(park(lease, row, reason));
      parked.insert(row.aggregate_id);
      continue;
    }
    outgoing.records[{topic, ports::partition_of(row.aggregate_id, *partitions)}].push_back(
        std::move(record));
    outgoing.ids.push_back(row.id);
    add_span(options_.tracer, row, topic, outgoing.spans);
  }
  return outgoing;
}

base::Result<void> Relay::park(ports::OutboxLease& lease, const ports::OutboxRow& row,
                               const std::string& reason) {
  spdlog::error("outbox row {} of {} is parked with the later rows of the same order: {}", row.id,
                row.aggregate_id, reason);
  MILLRACE_TRY(lease.park(row.id, row.aggregate_id, base::Deadline::in(options_.call_timeout)));
  ++stats_.rows_parked;
  return {};
}

base::Result<void> Relay::send(Outgoing outgoing) {
  const auto deadline = base::Deadline::in(options_.call_timeout + kVerdictTime);
  std::vector<ports::PartitionRecords> batches;
  batches.reserve(outgoing.records.size());
  for (auto& [partition, records] : outgoing.records) {
    topics_.on_sent(partition.topic);
    batches.push_back({partition, std::move(records)});
  }
  for (const std::uint64_t id : outgoing.ids)
    if (sent_unmarked_.erase(id) > 0) ++stats_.events_sent_again;
  // In flight from here on, whatever the answer is.
  const std::size_t rows = outgoing.ids.size();
  in_flight_.add(std::move(outgoing.ids));
  auto started = log_.start_append(batches, deadline);
  if (!started) return std::unexpected(std::move(started).error());
  appends_.push_back({std::move(*started), rows, deadline, std::move(outgoing.spans)});
  return {};
}

base::Result<void> Relay::mark(ports::OutboxLease& lease) {
  const std::vector<std::uint64_t> ids = in_flight_.markable();
  MILLRACE_TRY(lease.mark_processed(ids, base::Deadline::in(options_.call_timeout)));
  in_flight_.on_marked();
  stats_.events_sent += ids.size();
  fetch_from_start_ = true;
  heartbeat_by_ = base::Deadline::in(kHeartbeatInterval);
  return {};
}

// --- topics

base::Result<std::int32_t> Relay::partitions_of(ports::OutboxLease& lease, const std::string& topic) {
  if (const auto known = topics_.partitions_of(topic)) return *known;
  const auto deadline = base::Deadline::in(options_.call_timeout);
  auto info = log_.describe_topic(topic, deadline);
  if (!info && info.error().kind == base::ErrorKind::kNotFound)
    info = log_.ensure_topic(topic, options_.partitions, deadline);
  if (!info) return std::unexpected(std::move(info).error());
  return reconcile_topic(lease, *info);
}

base::Result<std::int32_t> Relay::reconcile_topic(ports::OutboxLease& lease, const ports::TopicInfo& info) {
  const auto deadline = base::Deadline::in(options_.call_timeout);
  MILLRACE_TRY_ASSIGN(const auto recorded, lease.topic(info.topic, deadline));
  MILLRACE_TRY_ASSIGN(const auto decision, topics_.reconcile(info, recorded));
  if (decision.record) {
    if (auto written = lease.record_topic(info.topic, {info.partitions, info.topic_id}, deadline); !written) {
      topics_.forget(info.topic);
      return std::unexpected(std::move(written).error());
    }
  }
  return decision.partitions;
}

/// Nothing waits and nothing is in flight: the moment to look at the topics again.
base::Result<void> Relay::on_empty(ports::OutboxLease& lease) {
  const bool is_first = !topics_.was_empty();
  topics_.on_empty();
  if (!next_topic_check_.passed() && !(is_first && topics_.has_grown())) return {};
  next_topic_check_ = base::Deadline::in(kTopicCheckInterval);
  for (const std::string& topic : topics_.topics()) {
    const auto info = log_.describe_topic(topic, base::Deadline::in(kTopicCheckTimeout));
    if (info) MILLRACE_TRY(reconcile_topic(lease, *info));
    if (!info && info.error().kind == base::ErrorKind::kNotFound) topics_.forget(topic);
  }
  return {};
}

// --- what is logged

void Relay::log_failure(const base::Error& error) {
  sent_when_failed_ = stats_.events_sent;
  if (outage_.should_log(error))
    spdlog::warn("relay: shard {}: {}; retrying ({} s so far)", options_.shard, error.message,
                 outage_.lasting().count());
}

/// What was sent and has no answer yet is no progress.
void Relay::log_progress() {
  if (!in_flight_.empty() && stats_.events_sent == sent_when_failed_) return;
  if (const auto lasted = outage_.over())
    spdlog::info("relay: shard {} resumed after {} s", options_.shard, lasted->count());
}

}  // namespace millrace::relay
