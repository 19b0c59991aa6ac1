// The relay's view of the outbox table: take unprocessed rows, mark them under an epoch.
#pragma once

#include <cstdint>
#include <memory>
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
  std::int32_t retry_count = 0;
  base::UtcTime created_at;
};

/// The right to relay one shard. One caller thread. Gives the lock back when destroyed.
class OutboxLease {
 public:
  virtual ~OutboxLease() = default;

  /// This take-over's number: higher than that of every earlier owner of the shard.
  [[nodiscard]] virtual std::uint64_t epoch() const = 0;

  /// Up to `rows_max` rows that are neither processed nor parked, by id. Errors: kUnavailable; kConflict (the
  /// lock is lost).
  [[nodiscard]] virtual base::Result<std::vector<OutboxRow>> fetch(std::size_t rows_max,
                                                                   base::Deadline deadline) = 0;

  /// Marks rows as processed, in a transaction that checks the epoch. Errors: kConflict (another owner has a
  /// higher epoch: stop, nothing was marked), kUnavailable (nothing was marked, or the answer was lost).
  [[nodiscard]] virtual base::Result<void> mark_processed(std::span<const std::uint64_t> ids,
                                                          base::Deadline deadline) = 0;

  /// Takes a row that can never be sent out of the way, with every later unprocessed row of the same
  /// aggregate; they stay in the table with the reason in the log. Same errors as mark_processed.
  [[nodiscard]] virtual base::Result<void> park(std::uint64_t id, const std::string& aggregate_id,
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

  /// Takes the shard's lock and raises its epoch. Errors: kConflict (another relay holds it: stand by and try
  /// again), kUnavailable.
  [[nodiscard]] virtual base::Result<std::unique_ptr<OutboxLease>> acquire(std::int32_t shard,
                                                                           base::Deadline deadline) = 0;

  /// Errors: kUnavailable.
  [[nodiscard]] virtual base::Result<OutboxDepth> depth(base::Deadline deadline) = 0;
};

}  // namespace millrace::ports
