// The topics of the embedded log.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include <rocksdb/write_batch.h>

#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/partition.h"
#include "base/result.h"
#include "ports/event_log.h"

namespace millrace::adapters::rocksdb {

/// Thread-safe. A topic once there stays, and so do its partitions.
class Topics {
 public:
  explicit Topics(Database& database) : database_(database) {}

  /// What the database has, checked. Before others use it. Errors: kFatal (damaged).
  [[nodiscard]] base::Result<void> load();
  /// Adds to `batch` what makes the database hold what is in memory.
  void add_repairs(::rocksdb::WriteBatch& batch) const;

  // As the calls of ports::EventLog. Looking at topics never waits for one that is being made.
  [[nodiscard]] base::Result<ports::TopicInfo> ensure(const std::string& name, std::int32_t partitions);
  [[nodiscard]] base::Result<ports::TopicInfo> describe(const std::string& name) const;
  [[nodiscard]] std::vector<ports::TopicInfo> list() const;
  /// Errors: kNotFound.
  [[nodiscard]] base::Result<Partition*> find(const ports::TopicPartition& where) const;

 private:
  struct Topic {
    std::uint32_t number = 0;
    ports::TopicInfo info;
    std::vector<std::unique_ptr<Partition>> partitions;
  };
  void add(std::uint32_t number, ports::TopicInfo info);
  [[nodiscard]] base::Result<void> restore_range(std::string_view key, std::string_view value);

  Database& database_;
  std::mutex making_mutex_;        // held while a topic is made; before the database's lock
  std::uint32_t next_number_ = 0;  // guarded by making_mutex_
  mutable std::shared_mutex mutex_;
  std::map<std::string, Topic> topics_;  // guarded by mutex_
};

}  // namespace millrace::adapters::rocksdb
