// The event log inside the process: durable in one RocksDB directory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/rocksdb/options.h"
#include "ports/event_log.h"
#include "ports/log_inspector.h"

namespace millrace::adapters::rocksdb {

/// One per directory, over all processes. Threads: RocksDB's background threads, ended by the destructor; all
/// calls must have returned by then. Members that outlive the log may be destroyed, but not used.
///
/// A reader that waits is woken by the append that it waits for, after the sync. Appends to one partition go
/// one after the other; appends to several partitions, in one call or at the same time, share their sync. An
/// append that failed never becomes visible later: if parts of it reached the disk, opening removes them.
/// After a disk that was full, read-only or failed to sync, the log goes on by itself: calls are kUnavailable
/// until then.
///
/// Groups: the member that joined a topic first owns all partitions, the others stand by with none until it
/// leaves. Generations grow with each take-over, over restarts too.
class RocksdbEventLog final : public ports::EventLog {
 public:
  /// Opens the log, recovering what was acknowledged. Errors: kConflict (another process, or this one
  /// already, has the directory open), kFatal (the directory cannot be made or read, is damaged, or holds
  /// something else or another version).
  [[nodiscard]] static base::Result<std::unique_ptr<RocksdbEventLog>> open(const Options& options);
  ~RocksdbEventLog() override;
  RocksdbEventLog(const RocksdbEventLog&) = delete;
  RocksdbEventLog& operator=(const RocksdbEventLog&) = delete;

  base::Result<ports::TopicInfo> ensure_topic(const std::string& topic, std::int32_t partitions,
                                              base::Deadline deadline) override;
  base::Result<ports::TopicInfo> describe_topic(const std::string& topic, base::Deadline deadline) override;
  base::Result<std::vector<ports::TopicInfo>> list_topics(base::Deadline deadline) override;
  base::Result<std::int64_t> append(const ports::TopicPartition& partition,
                                    std::span<const ports::NewRecord> records,
                                    base::Deadline deadline) override;
  /// Durable when it returns: one write, with one sync, for all partitions.
  base::Result<std::unique_ptr<ports::PendingAppend>> start_append(
      std::span<const ports::PartitionRecords> batches, base::Deadline deadline) override;
  [[nodiscard]] std::size_t record_bytes_max() const override;
  base::Result<std::vector<ports::Record>> read(const ports::TopicPartition& partition, std::int64_t offset,
                                                ports::ReadLimit limit, base::Deadline deadline) override;
  base::Result<bool> wait_any(std::span<const ports::LogPosition> positions,
                              base::Deadline deadline) override;
  base::Result<std::vector<ports::Record>> read_before(const ports::TopicPartition& partition,
                                                       std::int64_t position, std::size_t count,
                                                       base::Deadline deadline) override;
  base::Result<ports::OffsetRange> offsets(const ports::TopicPartition& partition,
                                           base::Deadline deadline) override;
  base::Result<void> delete_records(const ports::TopicPartition& partition, std::int64_t offset,
                                    base::Deadline deadline) override;
  base::Result<std::unique_ptr<ports::GroupMember>> join(const std::string& group, const std::string& topic,
                                                         base::Deadline deadline) override;
  base::Result<std::optional<ports::CommittedOffset>> committed(const std::string& group,
                                                                const ports::TopicPartition& partition,
                                                                base::Deadline deadline) override;
  base::Result<std::vector<ports::GroupOffset>> list_group_offsets(base::Deadline deadline) override;

  /// Must not outlive the log.
  [[nodiscard]] std::unique_ptr<ports::LogInspector> inspector();

 private:
  class Impl;
  explicit RocksdbEventLog(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::rocksdb
