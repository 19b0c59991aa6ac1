// The relay's view of the outbox table: take unprocessed rows, mark them under an epoch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"

namespace millrace::ports {

struct OutboxRow {
  std::uint64_t id =
      0;  ///< The event's id. Of two rows of one aggregate the later committed one has the higher id.
  std::string aggregate_id;
  std::string aggregate_type;  ///< "Order": topic order.events.
  std::string event_type;
  std::string payload;  ///< JSON.
  base::UtcTime created_at;
};

/// What the relay has recorded about a topic that it sends to.
struct RelayedTopic {
  std::int32_t partitions = 0;  ///< Those it spreads orders over; the topic itself may have more by now.
  std::string incarnation;
  friend bool operator==(const RelayedTopic&, const RelayedTopic&) = default;
};

/// The right to relay one shard. One caller thread. Gives the lock back when destroyed.
class OutboxLease {
 public:
  virtual ~OutboxLease() = default;

  /// This take-over's number: higher than that of every earlier owner of any shard, so also of every earlier
  /// owner of a partition that has passed from another shard to this one.
  [[nodiscard]] virtual std::uint64_t epoch() const = 0;

  /// Up to `rows_max` rows of the shard that are neither processed nor parked and whose id lies above
  /// `after`, by id. They are durable: no crash of the store takes them back. Errors: kUnavailable; kConflict
  /// (the lock is lost, or another owner has a higher epoch).
  [[nodiscard]] virtual base::Result<std::vector<OutboxRow>> fetch(std::uint64_t after, std::size_t rows_max,
                                                                   base::Deadline deadline) = 0;

  /// How many rows of the shard are neither processed nor parked and have an id of at most `last`. Errors:
  /// kUnavailable; kConflict (the lock is lost).
  [[nodiscard]] virtual base::Result<std::size_t> waiting_up_to(std::uint64_t last,
                                                                base::Deadline deadline) = 0;

  /// Marks rows as processed, in a transaction that checks the epoch. Errors: kConflict (another owner has a
  /// higher epoch: stop, nothing was marked), kUnavailable (nothing was marked, or the answer was lost).
  [[nodiscard]] virtual base::Result<void> mark_processed(std::span<const std::uint64_t> ids,
                                                          base::Deadline deadline) = 0;

  /// Takes a row that can never be sent out of the way, with every later unprocessed row of the same
  /// aggregate; they stay in the table with the reason in the log. Same errors as mark_processed.
  [[nodiscard]] virtual base::Result<void> park(std::uint64_t id, const std::string& aggregate_id,
                                                base::Deadline deadline) = 0;

  /// Tells the store that the owner lives, where nothing else was asked of it for long: it takes the shard
  /// away from one that is silent. Errors: kConflict (the lock is lost), kUnavailable.
  [[nodiscard]] virtual base::Result<void> keep(base::Deadline deadline) = 0;

  /// What this shard has recorded about the topic, under whichever owner. Errors: kUnavailable, kConflict.
  [[nodiscard]] virtual base::Result<std::optional<RelayedTopic>> topic(const std::string& topic,
                                                                        base::Deadline deadline) = 0;
  /// Durable when it returns. Same errors as mark_processed.
  [[nodiscard]] virtual base::Result<void> record_topic(const std::string& topic, const RelayedTopic& now,
                                                        base::Deadline deadline) = 0;

  /// Removes up to `rows_max` processed rows older than `before`; how many went. Errors: kUnavailable.
  [[nodiscard]] virtual base::Result<std::size_t> remove_processed(base::UtcTime before, std::size_t rows_max,
                                                                   base::Deadline deadline) = 0;
};

struct OutboxDepth {
  std::uint64_t waiting = 0;  ///< Rows neither processed nor parked.
  std::uint64_t parked = 0;
};

/// Thread-safe.
class Outbox {
 public:
  virtual ~Outbox() = default;

  /// Takes the shard's lock and raises its epoch. Errors: kConflict (another relay holds it, or relays of
  /// another number of shards are at work: stand by and try again), kUnavailable.
  [[nodiscard]] virtual base::Result<std::unique_ptr<OutboxLease>> acquire(std::int32_t shard,
                                                                           base::Deadline deadline) = 0;

  /// Errors: kUnavailable.
  [[nodiscard]] virtual base::Result<OutboxDepth> depth(base::Deadline deadline) = 0;
};

}  // namespace millrace::ports
