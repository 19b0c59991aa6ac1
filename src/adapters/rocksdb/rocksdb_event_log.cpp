#include "adapters/rocksdb/rocksdb_event_log.h"

#include <condition_variable>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/groups.h"
#include "adapters/rocksdb/partition.h"
#include "adapters/rocksdb/topics.h"
#include "ports/one_process_inspector.h"

namespace millrace::adapters::rocksdb {
namespace {

using base::Deadline;
using base::Result;
using ports::TopicPartition;

/// Counts appends to any partition, so that nobody sleeps through one between looking and waiting.
class Appends {
 public:
  void notify() {
    {
      const std::lock_guard lock(mutex_);
      ++count_;
    }
    changed_.notify_all();
  }
  std::uint64_t count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  void wait_beyond(std::uint64_t count, Deadline deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline.moment(), [&] { return count_ != count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ = 0;  // guarded by mutex_
};

class DoneAppend final : public ports::PendingAppend {
 public:
  Result<bool> wait(Deadline) override { return true; }
};

}  // namespace

class RocksdbEventLog::Impl {
 public:
  explicit Impl(std::unique_ptr<Database> opened)
      : database_(std::move(opened)), topics_(*database_), groups_(*database_) {
    database_->set_repair([this](::rocksdb::WriteBatch& batch) { topics_.add_repairs(batch); });
  }
  Result<void> load() {
    MILLRACE_TRY(topics_.load());
    return groups_.load();
  }
  [[nodiscard]] const Options& options() const { return database_->options(); }

  Result<void> check_sizes(std::span<const ports::NewRecord> records) const {
    for (const ports::NewRecord& record : records)
      if (const std::size_t bytes = ports::bytes_of(record); bytes > options().record_bytes_max)
        return base::rejected(fmt::format("a record of {} bytes is larger than record_bytes_max = {}", bytes,
                                          options().record_bytes_max));
    return {};
  }

  const std::unique_ptr<Database> database_;
  Topics topics_;
  Groups groups_;
  Appends appends_;
};

RocksdbEventLog::RocksdbEventLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksdbEventLog::~RocksdbEventLog() = default;

Result<std::unique_ptr<RocksdbEventLog>> RocksdbEventLog::open(const Options& options) {
  MILLRACE_TRY_ASSIGN(auto database, Database::open(options));
  auto impl = std::make_unique<Impl>(std::move(database));
  if (auto loaded = impl->load(); !loaded)
    return base::with_context(options.directory.string(), std::move(loaded).error());
  return std::unique_ptr<RocksdbEventLog>(new RocksdbEventLog(std::move(impl)));
}

Result<ports::TopicInfo> RocksdbEventLog::ensure_topic(const std::string& topic, std::int32_t partitions,
                                                       Deadline) {
  return impl_->topics_.ensure(topic, partitions);
}

Result<ports::TopicInfo> RocksdbEventLog::describe_topic(const std::string& topic, Deadline) {
  return impl_->topics_.describe(topic);
}

Result<std::vector<ports::TopicInfo>> RocksdbEventLog::list_topics(Deadline) {
  return impl_->topics_.list();
}

std::size_t RocksdbEventLog::record_bytes_max() const {
  return impl_->options().record_bytes_max;
}

Result<std::int64_t> RocksdbEventLog::append(const TopicPartition& where,
                                             std::span<const ports::NewRecord> records, Deadline deadline) {
  MILLRACE_TRY(impl_->check_sizes(records));
  MILLRACE_TRY_ASSIGN(Partition * partition, impl_->topics_.find(where));
  AppendTask task(*impl_->database_);
  task.add(*partition, records);
  MILLRACE_TRY(task.run(deadline));
  if (!records.empty()) impl_->appends_.notify();
  return task.first_offset(0);
}

Result<std::unique_ptr<ports::PendingAppend>> RocksdbEventLog::start_append(
    std::span<const ports::PartitionRecords> batches, Deadline deadline) {
  AppendTask task(*impl_->database_);
  for (const auto& [where, records] : batches) {
    MILLRACE_TRY(impl_->check_sizes(records));
    MILLRACE_TRY_ASSIGN(Partition * partition, impl_->topics_.find(where));
    task.add(*partition, records);
  }
  auto appended = task.run(deadline);
  // Also after an error: a part may have been appended.
  impl_->appends_.notify();
  if (!appended) return std::unexpected(std::move(appended).error());
  return std::make_unique<DoneAppend>();
}

Result<std::vector<ports::Record>> RocksdbEventLog::read(const TopicPartition& where, std::int64_t offset,
                                                         ports::ReadLimit limit, Deadline deadline) {
  MILLRACE_TRY_ASSIGN(Partition * partition, impl_->topics_.find(where));
  return partition->read(offset, limit, deadline);
}

Result<bool> RocksdbEventLog::wait_any(std::span<const ports::LogPosition> positions, Deadline deadline) {
  std::vector<std::pair<Partition*, std::int64_t>> wanted;
  wanted.reserve(positions.size());
  for (const ports::LogPosition& position : positions) {
    MILLRACE_TRY_ASSIGN(Partition * partition, impl_->topics_.find(position.partition));
    wanted.emplace_back(partition, position.offset);
  }
  for (;;) {
    const std::uint64_t seen = impl_->appends_.count();
    const bool late = deadline.passed();
    for (const auto& [partition, offset] : wanted)
      if (partition->range().end > offset) return true;
    if (late) return false;
    impl_->appends_.wait_beyond(seen, deadline);
  }
}

Result<std::vector<ports::Record>> RocksdbEventLog::read_before(const TopicPartition& where,
                                                                std::int64_t position, std::size_t count,
                                                                Deadline) {
  MILLRACE_TRY_ASSIGN(Partition * partition, impl_->topics_.find(where));
  return partition->read_before(position, count);
}

Result<ports::OffsetRange> RocksdbEventLog::offsets(const TopicPartition& where, Deadline) {
  MILLRACE_TRY_ASSIGN(const Partition* const partition, impl_->topics_.find(where));
  return partition->range();
}

Result<void> RocksdbEventLog::delete_records(const TopicPartition& where, std::int64_t offset,
                                             Deadline deadline) {
  MILLRACE_TRY_ASSIGN(Partition * partition, impl_->topics_.find(where));
  return partition->delete_records(offset, deadline);
}

Result<std::unique_ptr<ports::GroupMember>> RocksdbEventLog::join(const std::string& group,
                                                                  const std::string& topic, Deadline) {
  MILLRACE_TRY_ASSIGN(const auto info, impl_->topics_.describe(topic));
  return impl_->groups_.join(group, info);
}

Result<std::optional<ports::CommittedOffset>> RocksdbEventLog::committed(const std::string& group,
                                                                         const TopicPartition& partition,
                                                                         Deadline) {
  return impl_->groups_.committed(group, partition);
}

Result<std::vector<ports::GroupOffset>> RocksdbEventLog::list_group_offsets(Deadline) {
  return impl_->groups_.list_offsets();
}

std::unique_ptr<ports::LogInspector> RocksdbEventLog::inspector() {
  const Options& options = impl_->options();
  return std::make_unique<ports::OneProcessInspector>(
      *this, impl_->groups_.joined(),
      std::vector<ports::TopicSetting>{{"fsync", options.fsync ? "true" : "false"},
                                       {"record.bytes.max", std::to_string(options.record_bytes_max)}});
}

}  // namespace millrace::adapters::rocksdb
