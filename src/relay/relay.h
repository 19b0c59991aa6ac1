// Stage 2: moves outbox rows to the event log.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/outage_notes.h"
#include "base/result.h"
#include "base/stop.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "ports/outbox.h"

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
  std::chrono::milliseconds call_timeout{10'000};       ///< Of one call to the store or the log.
  std::chrono::milliseconds retention{24 * 3'600'000};  ///< Processed rows older than this are removed.
  std::size_t remove_rows_max = 1'000;                  ///< At a time.
  /// The incarnation of a topic that may be sent to although events that were on their way to its former one
  /// may be in the warehouse already; empty: none.
  std::string accepted_incarnation;
  /// All of them: what is in the warehouse is about to be replaced.
  bool accepts_new_topics = false;
};

/// Readable at any time from any thread.
struct Stats {
  std::atomic<std::uint64_t> events_sent{0};
  std::atomic<std::uint64_t> events_sent_again{0};  ///< Of them, those that this process had sent before.
  std::atomic<std::uint64_t> take_overs{0};
  std::atomic<std::uint64_t> rows_parked{0};
  std::atomic<std::uint64_t> rows_removed{0};
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
  void wake() { bell_.ring(); }

  [[nodiscard]] const Stats& stats() const { return stats_; }

 private:
  /// One append under way, or acknowledged and not yet marked.
  struct Sent {
    std::vector<std::uint64_t> ids;
    std::unique_ptr<ports::PendingAppend> append;  ///< Null before it is started and when it is acknowledged.
    base::Deadline deadline;
    bool acknowledged = false;
  };
  /// Rows and what becomes of them.
  struct Outgoing {
    std::map<ports::TopicPartition, std::vector<ports::NewRecord>> records;
    std::vector<std::uint64_t> ids;
  };

  void note_failure(const base::Error& error);
  void note_progress();
  [[nodiscard]] base::Result<void> serve(ports::OutboxLease& lease, const base::StopSignal& stop);
  [[nodiscard]] base::Result<bool> turn(ports::OutboxLease& lease, bool stopping);
  [[nodiscard]] base::Result<void> hear(base::Deadline until);
  [[nodiscard]] base::Result<void> rest(ports::OutboxLease& lease, std::chrono::milliseconds& pause);
  [[nodiscard]] base::Result<std::size_t> send_next(ports::OutboxLease& lease);
  [[nodiscard]] base::Result<Outgoing> prepare(ports::OutboxLease& lease,
                                               const std::vector<ports::OutboxRow>& rows,
                                               std::size_t rows_max);
  [[nodiscard]] base::Result<void> send(Outgoing outgoing);
  [[nodiscard]] base::Result<void> park(ports::OutboxLease& lease, std::uint64_t id,
                                        const std::string& aggregate_id, const std::string& reason);
  [[nodiscard]] base::Result<void> mark(ports::OutboxLease& lease);
  [[nodiscard]] base::Result<std::int32_t> partitions_of(ports::OutboxLease& lease, const std::string& topic);
  [[nodiscard]] base::Result<std::int32_t> settle(ports::OutboxLease& lease, const ports::TopicInfo& info);
  [[nodiscard]] base::Result<void> found_empty(ports::OutboxLease& lease);
  [[nodiscard]] base::Result<void> remove_old(ports::OutboxLease& lease);
  void start_lease();
  void drop_flight();
  [[nodiscard]] std::size_t rows_in_flight() const;

  ports::Outbox& outbox_;
  ports::EventLog& log_;
  const ports::Clock& clock_;
  const Options options_;

  // Of the lease.
  std::deque<Sent> flight_;  // oldest first; those that are acknowledged stand before those that are not
  std::unordered_set<std::uint64_t> flying_;    // their ids
  std::map<std::string, std::int32_t> topics_;  // those seen so far → the partitions they are spread over
  std::set<std::string> grown_;                 // those with more partitions than are used so far
  bool was_empty_ = false;                      // all that former owners had sent is marked
  std::set<std::string> sent_since_;            // topics sent to since it was empty
  bool look_back_ = true;                       // the next look starts at the first row
  base::Deadline keep_by_ = base::Deadline::in(std::chrono::milliseconds(0));
  base::Deadline mark_by_ = base::Deadline::in(std::chrono::milliseconds(0));
  base::Deadline next_look_ = base::Deadline::in(std::chrono::milliseconds(0));
  base::Deadline quick_until_ = base::Deadline::in(std::chrono::milliseconds(0));
  base::Deadline next_topic_look_ = base::Deadline::in(std::chrono::milliseconds(0));

  std::unordered_set<std::uint64_t> unmarked_;  // sent by this process under a former lease
  base::Deadline next_removal_ = base::Deadline::in(std::chrono::milliseconds(0));
  base::OutageNotes outage_;
  std::uint64_t sent_when_failed_ = 0;
  base::WakeBell bell_;
  Stats stats_;
};

/// "Order" → "order.events".
[[nodiscard]] std::string topic_of(std::string_view aggregate_type);

}  // namespace millrace::relay
