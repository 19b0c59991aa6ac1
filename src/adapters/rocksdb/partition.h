// One partition of the embedded log, and an append to several of them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include <rocksdb/write_batch.h>

#include "adapters/rocksdb/database.h"
#include "base/deadline.h"
#include "base/result.h"
#include "ports/event_log.h"

namespace millrace::adapters::rocksdb {

/// Which records there are is in memory, the records are in the database. Thread-safe; writers take turns.
class Partition {
 public:
  Partition(Database& database, std::uint32_t topic, std::int32_t number, std::string name)
      : database_(database), topic_(topic), number_(number), name_(std::move(name)) {}
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] ports::OffsetRange range() const;

  // As the calls of ports::EventLog.
  [[nodiscard]] base::Result<std::vector<ports::Record>> read(std::int64_t offset, ports::ReadLimit limit,
                                                              base::Deadline deadline);
  [[nodiscard]] base::Result<std::vector<ports::Record>> read_before(std::int64_t position,
                                                                     std::size_t count);
  [[nodiscard]] base::Result<void> delete_records(std::int64_t offset, base::Deadline deadline);

  /// For the start, in this order, before others know the partition: what the database says; then a check
  /// that the last record is there, and the removal of what failed appends left beyond the end.
  void restore(ports::OffsetRange range);
  [[nodiscard]] base::Result<void> check_records();
  /// Adds to `batch` what makes the database hold what is in memory, and nothing beyond.
  void add_repair(::rocksdb::WriteBatch& batch) const;

 private:
  friend class AppendTask;
  /// The right to write: given back when destroyed.
  class WriterTurn {
   public:
    /// Errors: kUnavailable when the turn did not come in time.
    [[nodiscard]] static base::Result<WriterTurn> take(Partition& partition, base::Deadline deadline);
    WriterTurn(WriterTurn&& other) noexcept : partition_(std::exchange(other.partition_, nullptr)) {}
    WriterTurn& operator=(WriterTurn&&) = delete;
    ~WriterTurn();

   private:
    explicit WriterTurn(Partition& partition) : partition_(&partition) {}
    Partition* partition_;
  };

  /// With mutex_ held. Errors: kInvalid outside of [begin, end].
  [[nodiscard]] base::Result<void> check_position(std::int64_t offset) const;
  /// Records of [from, end) up to the first that is not there.
  [[nodiscard]] base::Result<std::vector<ports::Record>> fetch(std::int64_t from, std::int64_t end,
                                                               ports::ReadLimit limit);

  Database& database_;
  const std::uint32_t topic_;
  const std::int32_t number_;
  const std::string name_;  // "order.events/3", for messages

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // the end has grown, or the beginning has
  std::condition_variable free_;     // nobody writes any more
  ports::OffsetRange range_;         // guarded by mutex_; changed only by who set writing_
  bool writing_ = false;             // guarded by mutex_
};

/// An append to any partitions of one database: one write, and one sync, for all of them as far as their
/// records fit into it.
class AppendTask {
 public:
  explicit AppendTask(Database& database) : database_(database) {}

  /// Nothing is copied before `run`. The same partition may be added again; its records then follow.
  void add(Partition& partition, std::span<const ports::NewRecord> records);
  /// Durable when it returns. Errors: kUnavailable (no turn in time, or the disk): of each partition a
  /// leading part may have been appended. One call.
  [[nodiscard]] base::Result<void> run(base::Deadline deadline);
  /// After a run that succeeded: where the records of the n-th partition that was added begin.
  [[nodiscard]] std::int64_t first_offset(std::size_t n) const { return parts_[n].first; }

 private:
  struct Part {
    Partition* partition;
    std::vector<std::span<const ports::NewRecord>> records;
    std::int64_t first = 0;
    ports::OffsetRange range;  // after what is in the batch so far
    bool is_in_batch = false;
  };
  [[nodiscard]] base::Result<void> write(::rocksdb::WriteBatch& batch);

  Database& database_;
  std::vector<Part> parts_;
};

}  // namespace millrace::adapters::rocksdb
