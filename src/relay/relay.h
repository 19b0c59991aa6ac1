// Stage 2: moves outbox rows to the event log.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/outage_logger.h"
#include "base/result.h"
#include "base/stop.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "ports/outbox.h"
#include "relay/in_flight_window.h"
#include "relay/poll_pacer.h"
#include "relay/topic_layout.h"
#include "telemetry/tracer.h"

namespace millrace::relay {

struct Options {
  std::int32_t shard = 0;
  std::int32_t shards = 1;      ///< Must divide the number of partitions of every topic.
  std::int32_t partitions = 3;  ///< Of a topic that does not exist yet.
  /// The bound on rows sent and not yet marked, so on repeats after a crash. They are read and sent in
  /// halves.
  std::size_t batch_rows_max = 4'000;
  /// The pause while nothing comes: the shortest as long as rows came lately, then growing to the longest. A
  /// wake-up ends it.
  std::chrono::milliseconds poll_interval_min{2};
  std::chrono::milliseconds poll_interval_max{100};
  std::chrono::milliseconds standby_interval{
      500};  ///< Between attempts to take the lock that another relay holds.
  std::chrono::milliseconds call_timeout{10'000};  ///< Of one call to the store or the log.
  /// As in TopicLayoutOptions.
  std::string accepted_topic_id;
  bool accepts_new_topics = false;
  telemetry::Tracer tracer = {};  ///< Of the events: from a row's being written to its being in the log.
};

/// Readable at any time from any thread.
struct Stats {
  base::StageHealth health;
  std::atomic<std::uint64_t> events_sent{0};
  std::atomic<std::uint64_t> events_sent_again{0};  ///< Of them, those that this process had sent before.
  std::atomic<std::uint64_t> take_overs{0};
  std::atomic<std::uint64_t> rows_parked{0};
  std::atomic<bool> active{false};  ///< Holds the lock.
};

/// One shard. One caller thread for `run`; `wake` and `stats` from any.
class Relay {
 public:
  Relay(ports::Outbox& outbox, ports::EventLog& log, const ports::Clock& clock, Options options);

  /// Relays until `stop`: takes the lock, sends, marks, stands by when another has the lock, waits out
  /// outages of the store and the log.
  /// Order:    per aggregate, commit order.
  /// Delivery: at least once; a crash between acknowledgement and mark sends up to `batch_rows_max` rows
  ///           again, with the same ids and a higher epoch. A row that can never be sent is parked with the
  ///           later ones of its aggregate, and the others go on.
  /// Errors:   none that a wait can mend; kFatal (shards and partitions do not fit, or a topic is another one
  ///           than the one that events were on their way to) ends it.
  [[nodiscard]] base::Result<void> run(const base::StopSignal& stop);

  /// New rows were committed in this process: look now.
  void wake() { wake_.notify(); }

  [[nodiscard]] const Stats& stats() const { return stats_; }
  [[nodiscard]] std::int32_t shard() const { return options_.shard; }

 private:
  /// An append that is not acknowledged yet: those of the window, in its order.
  struct Append {
    std::unique_ptr<ports::PendingAppend> pending;  ///< Null when it could not be started.
    std::size_t rows = 0;
    base::Deadline deadline;
    std::vector<telemetry::Span> spans;  ///< Of those rows that belong to a sampled trace.
  };
  /// Rows and what becomes of them.
  struct Outgoing {
    std::map<ports::TopicPartition, std::vector<ports::NewRecord>> records;
    std::vector<std::uint64_t> ids;
    std::vector<telemetry::Span> spans;
  };

  // One lease, from its first step to its loss.
  [[nodiscard]] base::Result<void> run_lease(ports::OutboxLease& lease, const base::StopSignal& stop);
  /// Polls acknowledgements, sends the next rows, marks; true if there may be more to do at once.
  [[nodiscard]] base::Result<bool> step(ports::OutboxLease& lease, bool stopping);
  /// Waits for whatever comes first: rows, acknowledgements, the time to mark or to send a heartbeat.
  [[nodiscard]] base::Result<void> wait(ports::OutboxLease& lease);
  void start_lease();
  void drop_in_flight();

  // The parts of a step.
  [[nodiscard]] base::Result<void> poll_acks(base::Deadline until);
  [[nodiscard]] base::Result<std::size_t> send_next(ports::OutboxLease& lease);
  [[nodiscard]] base::Result<std::vector<ports::OutboxRow>> fetch_next(ports::OutboxLease& lease);
  [[nodiscard]] base::Result<Outgoing> prepare(ports::OutboxLease& lease,
                                               const std::vector<ports::OutboxRow>& rows);
  [[nodiscard]] base::Result<void> park(ports::OutboxLease& lease, const ports::OutboxRow& row,
                                        const std::string& reason);
  [[nodiscard]] base::Result<void> send(Outgoing outgoing);
  [[nodiscard]] base::Result<void> mark(ports::OutboxLease& lease);

  // Topics.
  [[nodiscard]] base::Result<std::int32_t> partitions_of(ports::OutboxLease& lease, const std::string& topic);
  [[nodiscard]] base::Result<std::int32_t> reconcile_topic(ports::OutboxLease& lease,
                                                           const ports::TopicInfo& info);
  [[nodiscard]] base::Result<void> on_empty(ports::OutboxLease& lease);

  void log_failure(const base::Error& error);
  void log_progress();

  ports::Outbox& outbox_;
  ports::EventLog& log_;
  const ports::Clock& clock_;
  const Options options_;

  // Of the lease.
  InFlightWindow in_flight_;
  std::deque<Append> appends_;
  TopicLayout topics_;
  PollPacer pacer_;
  bool fetch_from_start_ = true;  // a row may have become visible below those in flight
  base::Deadline heartbeat_by_ = base::Deadline::in(std::chrono::milliseconds(0));
  base::Deadline mark_by_ = base::Deadline::in(std::chrono::milliseconds(0));
  base::Deadline next_topic_check_ = base::Deadline::in(std::chrono::milliseconds(0));

  std::unordered_set<std::uint64_t> sent_unmarked_;  // sent by this process under a former lease
  base::OutageLogger outage_{std::chrono::minutes(5), &stats_.health};
  std::uint64_t sent_when_failed_ = 0;
  base::WakeEvent wake_;
  Stats stats_;
};

/// "Order" → "order.events".
[[nodiscard]] std::string topic_of(std::string_view aggregate_type);

}  // namespace millrace::relay
