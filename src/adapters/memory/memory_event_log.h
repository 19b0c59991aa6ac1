// The event log in memory, for tests, with a dial for faults.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ports/event_log.h"
#include "ports/log_inspector.h"

namespace millrace::adapters::memory {

enum class LogOperation {
  kAny,  ///< For the dial: whichever call comes.
  kEnsureTopic,
  kDescribeTopic,
  kListTopics,
  kAppend,
  kRead,
  kWaitAny,
  kReadBefore,
  kOffsets,
  kDeleteRecords,
  kJoin,
  kAssignments,
  kCommit,
  kCommitted,
  kListGroupOffsets,
};
inline constexpr std::size_t kLogOperations = 15;

enum class LogFault {
  kFail,        ///< Nothing is done; kUnavailable.
  kLoseAnswer,  ///< Done in full; the answer is kUnavailable all the same.
  kDoHalf,      ///< An append of n records appends the first n / 2; kUnavailable. Other calls: as kFail.
  kConflict,    ///< Nothing is done; kConflict, as a commit whose assignment has passed to another.
};

/// Says which calls go wrong, and how. Thread-safe.
class LogFaultDial {
 public:
  /// From now on, the n-th call (1 is the next) of `operation` and the `times` - 1 calls after it go wrong.
  /// Several settings add up; the one that was set first decides.
  void set(LogOperation operation, std::uint64_t nth, LogFault fault, std::uint64_t times = 1);
  /// As set, but every call from the n-th on goes wrong, until `clear`.
  void set_for_good(LogOperation operation, std::uint64_t nth, LogFault fault);
  void clear();

  /// How many calls of the operation there were so far; kAny: of all.
  [[nodiscard]] std::uint64_t calls(LogOperation operation) const;

  /// Counts one call; what shall go wrong with it. For the adapter.
  [[nodiscard]] std::optional<LogFault> next(LogOperation operation);

 private:
  struct Setting {
    LogOperation operation;
    std::uint64_t first;
    std::uint64_t end;
    LogFault fault;
  };
  mutable std::mutex mutex_;
  std::array<std::uint64_t, kLogOperations> calls_{};  // guarded by mutex_
  std::vector<Setting> settings_;                      // guarded by mutex_
};

/// Keeps everything until it is destroyed. Members that outlive the log may be destroyed, but not used.
class MemoryEventLog : public ports::EventLog {
 public:
  explicit MemoryEventLog(std::size_t record_bytes_max = std::size_t{8} << 20u);
  ~MemoryEventLog() override;

  [[nodiscard]] LogFaultDial& faults() { return faults_; }

  /// Takes the partitions away from the member that owns them, as a rebalance does: the longest waiting
  /// member takes over at its next `assignments` call, the old owner stands by. Without another member the
  /// same one takes over again, with a higher generation.
  void expire_owner(const std::string& group, const std::string& topic);

  /// Makes the topic anew: empty, under another topic id, without committed offsets. It must exist.
  void recreate_topic(const std::string& topic);

  base::Result<ports::TopicInfo> ensure_topic(const std::string& topic, std::int32_t partitions,
                                              base::Deadline deadline) override;
  base::Result<ports::TopicInfo> grow_topic(const std::string& topic, std::int32_t partitions,
                                            base::Deadline deadline) override;
  base::Result<ports::TopicInfo> describe_topic(const std::string& topic, base::Deadline deadline) override;
  base::Result<std::vector<ports::TopicInfo>> list_topics(base::Deadline deadline) override;
  base::Result<std::int64_t> append(const ports::TopicPartition& partition,
                                    std::span<const ports::NewRecord> records,
                                    base::Deadline deadline) override;
  [[nodiscard]] std::size_t record_bytes_max() const override { return record_bytes_max_; }
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
  class Member;
  struct State;

  // Shared with the members, so that one may leave after the log is gone.
  std::shared_ptr<State> state_;
  const std::size_t record_bytes_max_;
  LogFaultDial faults_;
};

}  // namespace millrace::adapters::memory
