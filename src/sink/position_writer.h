// Keeps the sink's positions in the warehouse behind the batches that were acknowledged.
#pragma once

#include <chrono>
#include <map>
#include <optional>

#include "base/async_task.h"
#include "base/result.h"
#include "ports/clock.h"
#include "sink/options.h"
#include "sink/partition.h"
#include "sink/tables.h"

namespace millrace::sink {

/// One write at a time, beside the caller. One caller; not thread-safe.
class PositionWriter {
 public:
  /// All of them must outlive it.
  PositionWriter(SinkTables& tables, const ports::Clock& clock, const Options& options);

  /// Takes the outcome of the write if it has ended, and starts the next one when it is due and some
  /// partition is loaded beyond its recorded position. Never waits. Errors: the tables', of the write.
  [[nodiscard]] base::Result<void> advance(Partitions& partitions);
  /// Waits until all that is loaded is recorded. Errors: the tables'.
  [[nodiscard]] base::Result<void> finish(Partitions& partitions);
  /// Waits for the write, whatever becomes of it.
  void abandon();

  [[nodiscard]] bool is_writing() const { return write_.has_value(); }

 private:
  [[nodiscard]] base::Result<void> take_outcome(Partitions& partitions);
  void start(const Partitions& partitions);

  SinkTables& tables_;
  const ports::Clock& clock_;
  const Options& options_;
  std::map<ports::TopicPartition, SinkPosition> being_written_;
  std::optional<base::AsyncTask> write_;
  std::chrono::steady_clock::time_point last_start_{};
};

}  // namespace millrace::sink
