// Stage 2: moves outbox rows to the event log.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/stop.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "ports/outbox.h"

namespace millrace::relay {

struct Options {
  std::int32_t shard = 0;
  std::int32_t partitions = 3;  ///< Of a topic that does not exist yet.
  std::size_t batch_rows_max =
      1'000;  ///< Also the bound on rows sent and not yet marked, so on repeats after a crash.
  std::chrono::milliseconds poll_interval_min{2};
  std::chrono::milliseconds poll_interval_max{
      100};  ///< The pause grows from min to max while nothing comes; a wake-up ends it.
  std::chrono::milliseconds standby_interval{
      500};  ///< Between attempts to take the lock that another relay holds.
  std::chrono::milliseconds call_timeout{10'000};       ///< Of one call to the store or the log.
  std::chrono::milliseconds retention{24 * 3'600'000};  ///< Processed rows older than this are removed.
  std::size_t remove_rows_max = 1'000;                  ///< At a time.
};

/// Readable at any time from any thread.
struct Stats {
  std::atomic<std::uint64_t> events_sent{0};
  std::atomic<std::uint64_t> rows_parked{0};
  std::atomic<std::uint64_t> rows_removed{0};
  std::atomic<bool> active{false};  ///< Holds the lock.
};

/// One caller thread for `run`; `wake` and `stats` from any.
class Relay {
 public:
  Relay(ports::Outbox& outbox, ports::EventLog& log, const ports::Clock& clock, Options options);

  /// Relays until `stop`: takes the lock, sends, marks, stands by when another has the lock, waits out
  /// outages of the store and the log. Errors: none that a wait can mend; kFatal or kConflict of the log's
  /// topics (wrong set-up) end it.
  [[nodiscard]] base::Result<void> run(const base::StopSignal& stop);

  /// New rows were committed in this process: look now.
  void wake() { bell_.ring(); }

  [[nodiscard]] const Stats& stats() const { return stats_; }

  /// Moves up to `batch_rows_max` outbox rows to the event log, lowest id first, and marks them.
  /// Shape:    number of rows acknowledged by the log, 0 … batch_rows_max.   Order: per aggregate, commit
  /// order. Delivery: at least once; a crash between acknowledgement and mark sends the batch again, with the
  /// same ids and a higher epoch. Errors:   kUnavailable (try again; after an append under a new lease),
  /// kConflict (the lease is lost: drop it); a row that can never be sent is parked with the
  ///           later ones of its aggregate, and the others go on.
  [[nodiscard]] base::Result<std::size_t> relay_once(ports::OutboxLease& lease);

 private:
  [[nodiscard]] base::Result<void> serve(ports::OutboxLease& lease, const base::StopSignal& stop);
  [[nodiscard]] base::Result<std::int32_t> partitions_of(const std::string& topic);
  [[nodiscard]] base::Result<void> remove_old(ports::OutboxLease& lease);

  ports::Outbox& outbox_;
  ports::EventLog& log_;
  const ports::Clock& clock_;
  const Options options_;
  std::map<std::string, std::int32_t> partitions_;  ///< Of the topics seen so far.
  base::Deadline next_removal_ = base::Deadline::in(std::chrono::milliseconds(0));
  bool append_open_ = false;  ///< The last round ended with an append that had no answer.
  base::WakeBell bell_;
  Stats stats_;
};

/// "Order" → "order.events".
[[nodiscard]] std::string topic_of(std::string_view aggregate_type);

}  // namespace millrace::relay
