#include "relay/relay.h"

#include <algorithm>
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
constexpr std::size_t kAppendsMax = 64;
constexpr std::chrono::milliseconds kVerdictTime{2'000};
// Rows that were acknowledged wait so long for others to be marked with them.
constexpr std::chrono::milliseconds kMarkDelay{25};
constexpr std::chrono::milliseconds kKeepInterval{1'000};
// So long after a row the outbox is looked at in the shortest pauses.
constexpr std::chrono::milliseconds kQuickTime{1'000};
constexpr std::chrono::milliseconds kTopicInterval{30'000};
constexpr std::chrono::milliseconds kTopicLookTime{1'000};

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
    : outbox_(outbox), log_(log), clock_(clock), options_(std::move(options)) {}

std::size_t Relay::rows_in_flight() const {
  return flying_.size();
}

/// Under this lease nothing is known yet.
void Relay::start_lease() {
  drop_flight();
  topics_.clear();
  grown_.clear();
  sent_since_.clear();
  was_empty_ = false;
}

/// What is in flight stays unmarked, and is sent again.
void Relay::drop_flight() {
  // Others may have marked what an earlier lease left.
  if (unmarked_.size() > 4 * options_.batch_rows_max) unmarked_.clear();
  unmarked_.insert(flying_.begin(), flying_.end());
  flight_.clear();
  flying_.clear();
  look_back_ = true;
}

/// Decides over how many partitions a topic's orders are spread. A row may stand unmarked in the outbox
/// although a former owner has sent it; its repeat is recognized only in the partition of the first copy. So
/// what was recorded is kept until no such row can be there.
base::Result<std::int32_t> Relay::settle(ports::OutboxLease& lease, const ports::TopicInfo& info) {
  const auto deadline = base::Deadline::in(options_.call_timeout);
  const ports::RelayedTopic now{info.partitions, info.incarnation};
  MILLRACE_TRY_ASSIGN(const auto recorded, lease.topic(info.topic, deadline));
  grown_.erase(info.topic);
  if (recorded && *recorded == now) return topics_[info.topic] = now.partitions;
  const bool divides = now.partitions % options_.shards == 0;
  const bool is_grown = recorded && recorded->incarnation == now.incarnation;
  const bool nothing_on_its_way = !recorded || (was_empty_ && !sent_since_.contains(info.topic)) ||
                                  options_.accepts_new_topics ||
                                  now.incarnation == options_.accepted_incarnation;
  if (is_grown && (!nothing_on_its_way || !divides)) {
    if (!divides)
      spdlog::warn("relay: {} has {} partitions now, which {} shards do not divide: going on with {} of them",
                   info.topic, now.partitions, options_.shards, recorded->partitions);
    if (divides)
      spdlog::info("relay: {} has {} partitions now: going on with {} until the outbox is empty once",
                   info.topic, now.partitions, recorded->partitions);
    grown_.insert(info.topic);
    return topics_[info.topic] = recorded->partitions;
  }
  if (!divides)
    return base::fatal(
        fmt::format("relay.shards ({}) does not divide the {} partitions of {}: set it to 1, or to another "
                    "divisor",
                    options_.shards, now.partitions, info.topic));
  if (!nothing_on_its_way)
    return base::fatal(fmt::format(
        "topic {} is another one than before (it was made anew, as {}), and up to {} events may have been on "
        "their way to the former one: whether they are loaded cannot be known. Send them again and load the "
        "warehouse anew (millrace up --rebuild; for a relay alone relay.accept_topic = {}, and millrace "
        "rebuild)",
        info.topic, now.incarnation, options_.batch_rows_max, now.incarnation));
  MILLRACE_TRY(lease.record_topic(info.topic, now, deadline));
  return topics_[info.topic] = now.partitions;
}

base::Result<std::int32_t> Relay::partitions_of(ports::OutboxLease& lease, const std::string& topic) {
  if (const auto known = topics_.find(topic); known != topics_.end()) return known->second;
  const auto deadline = base::Deadline::in(options_.call_timeout);
  auto info = log_.describe_topic(topic, deadline);
  if (!info && info.error().kind == base::ErrorKind::kNotFound)
    info = log_.ensure_topic(topic, options_.partitions, deadline);
  if (!info) return std::unexpected(std::move(info).error());
  return settle(lease, *info);
}

/// Nothing waits and nothing is on its way: the moment to look at the topics again.
base::Result<void> Relay::found_empty(ports::OutboxLease& lease) {
  const bool first = !was_empty_;
  was_empty_ = true;
  sent_since_.clear();
  if (!next_topic_look_.passed() && !(first && !grown_.empty())) return {};
  next_topic_look_ = base::Deadline::in(kTopicInterval);
  for (const auto& [topic, partitions] : std::map(topics_)) {
    const auto info = log_.describe_topic(topic, base::Deadline::in(kTopicLookTime));
    if (info) MILLRACE_TRY(settle(lease, *info));
    if (!info && info.error().kind == base::ErrorKind::kNotFound) topics_.erase(topic);
  }
  return {};
}

base::Result<void> Relay::park(ports::OutboxLease& lease, std::uint64_t id, const std::string& aggregate_id,
                               const std::string& reason) {
  spdlog::error("outbox row {} of {} is parked with the later rows of the same order: {}", id, aggregate_id,
                reason);
  MILLRACE_TRY(lease.park(id, aggregate_id, base::Deadline::in(options_.call_timeout)));
  ++stats_.rows_parked;
  return {};
}

base::Result<Relay::Outgoing> Relay::prepare(ports::OutboxLease& lease,
                                             const std::vector<ports::OutboxRow>& rows,
                                             std::size_t rows_max) {
  Outgoing outgoing;
  outgoing.ids.reserve(rows.size());
  std::set<std::string> held_back;  // aggregates with a parked row: their later rows were parked with it
  const base::UtcTime now = clock_.now();
  for (const ports::OutboxRow& row : rows) {
    if (outgoing.ids.size() == rows_max) break;
    if (flying_.contains(row.id) || held_back.contains(row.aggregate_id)) continue;
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
      MILLRACE_TRY(park(lease, row.id, row.aggregate_id, reason));
      held_back.insert(row.aggregate_id);
      continue;
    }
    outgoing.records[{topic, ports::partition_of(row.aggregate_id, *partitions)}].push_back(
        std::move(record));
    outgoing.ids.push_back(row.id);
  }
  return outgoing;
}

base::Result<void> Relay::send(Outgoing outgoing) {
  // The log's own verdict comes first: it knows why.
  const auto deadline = base::Deadline::in(options_.call_timeout + kVerdictTime);
  std::vector<ports::PartitionRecords> batches;
  batches.reserve(outgoing.records.size());
  for (auto& [partition, records] : outgoing.records) {
    sent_since_.insert(partition.topic);
    batches.push_back({partition, std::move(records)});
  }
  for (const std::uint64_t id : outgoing.ids)
    if (unmarked_.erase(id) > 0) ++stats_.events_sent_again;
  // In flight from here on, whatever the answer is.
  flying_.insert(outgoing.ids.begin(), outgoing.ids.end());
  flight_.push_back({std::move(outgoing.ids), nullptr, deadline, false});
  auto started = log_.start_append(batches, deadline);
  if (!started) return std::unexpected(std::move(started).error());
  flight_.back().append = std::move(*started);
  return {};
}

/// Takes the answers that are there.
base::Result<void> Relay::hear(base::Deadline until) {
  for (Sent& sent : flight_) {
    if (sent.acknowledged) continue;
    auto done = sent.append->wait(until);
    if (!done) return std::unexpected(std::move(done).error());
    if (!*done && sent.deadline.passed())
      return base::unavailable(fmt::format("the log has not acknowledged {} events within {} ms",
                                           sent.ids.size(), options_.call_timeout.count()));
    if (!*done) return {};
    sent.acknowledged = true;
    sent.append.reset();
    if (&sent == &flight_.front()) mark_by_ = base::Deadline::in(kMarkDelay);
    until = base::Deadline::in(std::chrono::milliseconds(0));
  }
  return {};
}

/// Marks what is acknowledged.
base::Result<void> Relay::mark(ports::OutboxLease& lease) {
  std::vector<std::uint64_t> ids;
  std::size_t appends = 0;
  for (const Sent& sent : flight_) {
    if (!sent.acknowledged) break;
    ids.insert(ids.end(), sent.ids.begin(), sent.ids.end());
    ++appends;
  }
  MILLRACE_TRY(lease.mark_processed(ids, base::Deadline::in(options_.call_timeout)));
  flight_.erase(flight_.begin(), flight_.begin() + static_cast<std::ptrdiff_t>(appends));
  for (const std::uint64_t id : ids) flying_.erase(id);
  stats_.events_sent += ids.size();
  look_back_ = true;
  keep_by_ = base::Deadline::in(kKeepInterval);
  return {};
}

/// Reads the next rows and starts to send them; how many there were that are not in flight.
base::Result<std::size_t> Relay::send_next(ports::OutboxLease& lease) {
  const std::size_t half = std::max<std::size_t>(1, options_.batch_rows_max / 2);
  std::uint64_t last = 0;
  for (const Sent& sent : flight_) last = std::max(last, sent.ids.back());
  bool look_back = look_back_ || flight_.empty();
  std::vector<ports::OutboxRow> rows;
  if (!look_back) {
    MILLRACE_TRY_ASSIGN(rows, lease.fetch(last, half, base::Deadline::in(options_.call_timeout)));
    // A row with a lower id may be committed late, and a later one of its order be among those just read.
    // Asked after them, the store shows it; then the look starts at the first row.
    if (!rows.empty()) {
      MILLRACE_TRY_ASSIGN(const std::size_t below,
                          lease.waiting_up_to(last, base::Deadline::in(options_.call_timeout)));
      look_back = below > rows_in_flight();
    }
  }
  if (look_back) {
    MILLRACE_TRY_ASSIGN(rows,
                        lease.fetch(0, half + rows_in_flight(), base::Deadline::in(options_.call_timeout)));
  }
  look_back_ = false;
  keep_by_ = base::Deadline::in(kKeepInterval);
  // A full portion promises more; else the next look comes with the next pause, also while answers come in.
  if (rows.size() < half) next_look_ = base::Deadline::in(options_.poll_interval_min);
  if (rows.empty()) {
    if (flight_.empty()) MILLRACE_TRY(found_empty(lease));
    return 0;
  }
  MILLRACE_TRY_ASSIGN(Outgoing outgoing, prepare(lease, rows, half));
  const std::size_t sent = outgoing.ids.size();
  if (sent > 0) MILLRACE_TRY(send(std::move(outgoing)));
  return sent;
}

/// One round of hearing, sending and marking; true if there may be more to do at once.
base::Result<bool> Relay::turn(ports::OutboxLease& lease, bool stopping) {
  const auto now = base::Deadline::in(std::chrono::milliseconds(0));
  MILLRACE_TRY(hear(now));
  const std::size_t half = std::max<std::size_t>(1, options_.batch_rows_max / 2);
  const std::size_t room = options_.batch_rows_max - std::min(options_.batch_rows_max, rows_in_flight());
  const bool may_send = !stopping && flight_.size() < kAppendsMax && room >= half && next_look_.passed();
  std::size_t sent = 0;
  if (may_send) {
    MILLRACE_TRY_ASSIGN(sent, send_next(lease));
  }
  if (sent > 0) quick_until_ = base::Deadline::in(kQuickTime);
  // While rows keep coming those that are acknowledged wait a little, to be marked together.
  const bool is_last = stopping || (may_send ? sent == 0 : room < half);
  if (!flight_.empty() && flight_.front().acknowledged && (is_last || mark_by_.passed())) {
    MILLRACE_TRY(mark(lease));
    return true;
  }
  return sent >= half;
}

base::Result<void> Relay::remove_old(ports::OutboxLease& lease) {
  // Rows of all shards are removed by one, so that no two removals meet.
  if (options_.shard != 0 || !next_removal_.passed()) return {};
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

base::Result<void> Relay::rest(ports::OutboxLease& lease, std::chrono::milliseconds& pause) {
  const auto at_once = base::Deadline::in(std::chrono::milliseconds(0));
  if (!flight_.empty()) {
    // Rows that come meanwhile are sent without waiting for the answer.
    const auto span = std::clamp(next_look_.left(), std::chrono::milliseconds(1), kKeepInterval);
    bool rang = false;
    if (flight_.back().acknowledged) {
      rang = bell_.wait_for(std::min(span, std::max(mark_by_.left(), std::chrono::milliseconds(1))));
    } else {
      MILLRACE_TRY(hear(base::Deadline::in(span)));
      rang = bell_.wait_for(std::chrono::milliseconds(0));
    }
    if (rang) next_look_ = at_once;
    if (keep_by_.passed()) {
      MILLRACE_TRY(lease.keep(base::Deadline::in(options_.call_timeout)));
      keep_by_ = base::Deadline::in(kKeepInterval);
    }
    return {};
  }
  if (!quick_until_.passed()) pause = options_.poll_interval_min;
  const bool rang = bell_.wait_for(pause);
  pause = rang ? options_.poll_interval_min : std::min(options_.poll_interval_max, pause * 2);
  next_look_ = at_once;
  return {};
}

base::Result<void> Relay::serve(ports::OutboxLease& lease, const base::StopSignal& stop) {
  std::chrono::milliseconds pause = options_.poll_interval_min;
  base::Backoff backoff(kBackoffFirst, kBackoffLongest);
  for (;;) {
    const bool stopping = stop.requested();
    if (stopping && flight_.empty()) return {};
    auto more = turn(lease, stopping);
    if (more && !*more) {
      if (auto rested = rest(lease, pause); !rested) more = std::unexpected(std::move(rested).error());
    } else if (more) {
      pause = options_.poll_interval_min;
    }
    if (!more) {
      // Whatever was appended stays unmarked and is sent again. After an append with no answer it goes on
      // under a new epoch: records of this one may reach the log long after their repeats, and are told by
      // it.
      const bool is_open = std::ranges::any_of(flight_, [](const Sent& sent) { return !sent.acknowledged; });
      drop_flight();
      topics_.clear();
      if (more.error().kind != base::ErrorKind::kUnavailable || is_open || stopping)
        return std::unexpected(std::move(more).error());
      note_failure(more.error());
      if (stop.wait_for(backoff.next())) return {};
      continue;
    }
    backoff.reset();
    note_progress();
    MILLRACE_TRY(remove_old(lease));
  }
}

void Relay::note_failure(const base::Error& error) {
  sent_when_failed_ = stats_.events_sent;
  if (outage_.worth_a_line(error))
    spdlog::warn("relay: shard {}: {}; trying again, for as long as it takes ({} s so far)", options_.shard,
                 error.message, outage_.lasting().count());
}

/// What was sent and has no answer yet is no progress.
void Relay::note_progress() {
  if (!flight_.empty() && stats_.events_sent == sent_when_failed_) return;
  if (const auto lasted = outage_.over())
    spdlog::info("relay: shard {} goes on after {} s", options_.shard, lasted->count());
}

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
      note_failure(lease.error());
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
    auto served = serve(**lease, stop);
    drop_flight();
    stats_.active = false;
    if (served) continue;
    if (stats_.events_sent > sent_before) backoff.reset();
    if (served.error().kind == base::ErrorKind::kFatal) return served;
    note_failure(served.error());
    stop.wait_for(backoff.next());
  }
  return {};
}

}  // namespace millrace::relay
