// Reads records into the pending rows of a batch.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>

#include "base/result.h"
#include "base/stop.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "sink/options.h"
#include "sink/partition.h"

namespace millrace::sink {

/// What the sink does while no record comes; gives how long it may wait for one.
using WhileIdle = std::function<base::Result<std::chrono::milliseconds>()>;

/// One caller; not thread-safe.
class BatchCollector {
 public:
  /// All of them must outlive it.
  BatchCollector(ports::EventLog& log, const ports::Clock& clock, const Options& options, Stats& stats);

  /// Adds to the partitions' pending rows until the batch is full or its time has come: a batch is open from
  /// its first record until it is full, or until `max_delay` after the last one was closed, so a row that
  /// comes after a pause is written at once, and under load the delay bounds how many parts the tables get a
  /// second. Repeats are dropped; what is no row becomes a dead letter. Ends early when no record comes while
  /// `idle` lets it wait, and on a stop. Returns whether records came. Errors: the log's and those of `idle`;
  /// the partitions must then be opened anew.
  [[nodiscard]] base::Result<bool> collect(Partitions& partitions, const base::StopSignal& stop,
                                           const WhileIdle& idle);

 private:
  [[nodiscard]] base::Result<std::size_t> read(Partitions& partitions, ports::ReadLimit limit);
  [[nodiscard]] base::Result<std::size_t> add_records(Partition& partition,
                                                      std::span<const ports::Record> records);

  ports::EventLog& log_;
  const ports::Clock& clock_;
  const Options& options_;
  Stats& stats_;
  std::size_t read_turn_ = 0;  // whose share of a read is taken first
  std::chrono::steady_clock::time_point last_batch_closed_{};
};

}  // namespace millrace::sink
