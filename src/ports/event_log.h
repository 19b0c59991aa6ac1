// The event log: topics of partitions of records, consumer groups with committed offsets.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"

namespace millrace::ports {

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

struct Header {
  std::string name;
  std::string value;
  friend bool operator==(const Header&, const Header&) = default;
};

/// What a producer hands in. `time` is kept as given, if it lies after 1970-01-01T00:00:00Z.
struct NewRecord {
  std::string key;
  std::string value;
  std::vector<Header> headers;
  base::UtcTime time;
};

/// What a reader gets back.
struct Record {
  std::int64_t offset = 0;  ///< 0, 1, 2 … in its partition; on some logs with gaps, never going back.
  std::string key;
  std::string value;
  std::vector<Header> headers;
  base::UtcTime time;

  /// The first header of that name, or nothing.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

struct LogPosition {
  TopicPartition partition;
  std::int64_t offset = 0;
};

struct TopicInfo {
  std::string topic;
  std::int32_t partitions = 0;
  /// Differs between a topic and another one of the same name made after the first was deleted.
  std::string topic_id;
};

/// Records are kept for [begin, end).
struct OffsetRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

struct ReadLimit {
  std::size_t records_max = 1;
  std::size_t bytes_max =
      1;  ///< Of keys, values and headers; the first record comes even if it alone is larger.
};

/// Records for one partition, in order.
struct PartitionRecords {
  TopicPartition partition;
  std::vector<NewRecord> records;
};

struct CommittedOffset {
  std::int64_t offset = 0;  ///< The next record to read.
  std::string metadata;     ///< Free text of the group's own, at most 4,096 bytes.
};

/// A partition given to one member of a group; a later owner has a higher generation.
struct Assignment {
  TopicPartition partition;
  std::int64_t generation = 0;
  friend bool operator==(const Assignment&, const Assignment&) = default;
};

struct AssignmentCommit {
  Assignment assignment;
  CommittedOffset offset;
};

struct GroupOffset {
  std::string group;
  TopicPartition partition;
  CommittedOffset committed;
};

/// One member of a consumer group. One caller thread. Leaves the group when destroyed.
class GroupMember {
 public:
  virtual ~GroupMember() = default;

  /// The partitions that are this member's now; may change from call to call, also to none (another member
  /// has them). Errors: kUnavailable.
  [[nodiscard]] virtual base::Result<std::vector<Assignment>> assignments(base::Deadline deadline) = 0;

  /// Durable when it returns. Errors: kConflict if the assignment has passed to another (drop it, ask for
  /// assignments again), kUnavailable, kInvalid (metadata too long).
  [[nodiscard]] virtual base::Result<void> commit(const Assignment& assignment, const CommittedOffset& offset,
                                                  base::Deadline deadline) = 0;

  /// Commits for several partitions, with one write where the log has such a thing. Errors: as commit; any of
  /// them may have been committed then.
  [[nodiscard]] virtual base::Result<void> commit_all(std::span<const AssignmentCommit> commits,
                                                      base::Deadline deadline);
};

/// An append under way. One caller. Destroyed before it is done it is an append whose answer was lost.
class PendingAppend {
 public:
  virtual ~PendingAppend() = default;

  /// True when all records are durable; false when the deadline passed first (ask again). Errors: as
  /// EventLog::append; of each partition any leading part may have been appended, or may be later.
  [[nodiscard]] virtual base::Result<bool> wait(base::Deadline deadline) = 0;
};

/// Thread-safe, also its readers: any thread may append, read and ask at any time.
class EventLog {
 public:
  virtual ~EventLog() = default;

  /// Makes the topic if it is not there. Errors: kConflict if it is there with another number of partitions,
  /// kInvalid (name or number), kUnavailable.
  [[nodiscard]] virtual base::Result<TopicInfo> ensure_topic(const std::string& topic,
                                                             std::int32_t partitions,
                                                             base::Deadline deadline) = 0;
  /// Adds partitions until the topic has `partitions`; what it has beyond them stays. Errors: kConflict (this
  /// log adds none), kNotFound, kUnavailable.
  [[nodiscard]] virtual base::Result<TopicInfo> grow_topic(const std::string& topic, std::int32_t partitions,
                                                           base::Deadline deadline);
  /// Errors: kNotFound, kUnavailable.
  [[nodiscard]] virtual base::Result<TopicInfo> describe_topic(const std::string& topic,
                                                               base::Deadline deadline) = 0;
  /// By name.
  [[nodiscard]] virtual base::Result<std::vector<TopicInfo>> list_topics(base::Deadline deadline) = 0;

  /// Appends all of `records` in order to one partition; durable when it returns the first record's offset.
  /// On an error any leading part of them may have been appended, or (a lost answer) all, or may be later.
  /// Errors: kRejected (one record is larger than `record_bytes_max`; nothing was appended), kNotFound (topic
  /// or partition), kUnavailable.
  [[nodiscard]] virtual base::Result<std::int64_t> append(const TopicPartition& partition,
                                                          std::span<const NewRecord> records,
                                                          base::Deadline deadline) = 0;
  /// Starts to append to several partitions at once. What is started later, by the same thread, comes later
  /// in each partition, and does not come at all behind a gap: when an append fails in part, those started
  /// after it fail too as far as they had not been acknowledged. A log without such appends carries them out
  /// at once. Takes copies. Errors: as append; then a leading part of each partition's records may have been
  /// appended.
  [[nodiscard]] virtual base::Result<std::unique_ptr<PendingAppend>> start_append(
      std::span<const PartitionRecords> batches, base::Deadline deadline);
  /// The largest record (key + value + headers) that `append` takes.
  [[nodiscard]] virtual std::size_t record_bytes_max() const = 0;

  /// Records from `offset` on, waiting until the deadline for the first; empty when none came. Errors:
  /// kInvalid when `offset` lies outside of [begin, end] (records were removed, or the topic is another one),
  /// kNotFound, kUnavailable.
  [[nodiscard]] virtual base::Result<std::vector<Record>> read(const TopicPartition& partition,
                                                               std::int64_t offset, ReadLimit limit,
                                                               base::Deadline deadline) = 0;

  /// Waits until one of the partitions has a record at or above its offset (true) or the deadline passes
  /// (false): how one thread serves many partitions, with `read` and a deadline of 0. Errors: kNotFound,
  /// kUnavailable.
  [[nodiscard]] virtual base::Result<bool> wait_any(std::span<const LogPosition> positions,
                                                    base::Deadline deadline) = 0;

  /// The last up to `count` records before `position`, oldest first: what a reader rebuilds its window from.
  /// Never waits. Errors: as read.
  [[nodiscard]] virtual base::Result<std::vector<Record>> read_before(const TopicPartition& partition,
                                                                      std::int64_t position,
                                                                      std::size_t count,
                                                                      base::Deadline deadline) = 0;

  /// Errors: kNotFound, kUnavailable.
  [[nodiscard]] virtual base::Result<OffsetRange> offsets(const TopicPartition& partition,
                                                          base::Deadline deadline) = 0;

  /// Removes records below `offset` (at most the end); they need not vanish at once. Errors: kNotFound,
  /// kUnavailable.
  [[nodiscard]] virtual base::Result<void> delete_records(const TopicPartition& partition,
                                                          std::int64_t offset, base::Deadline deadline) = 0;

  /// Joins `group` for all partitions of `topic`. Errors: kNotFound, kUnavailable.
  [[nodiscard]] virtual base::Result<std::unique_ptr<GroupMember>> join(const std::string& group,
                                                                        const std::string& topic,
                                                                        base::Deadline deadline) = 0;
  /// What the group committed last, or nothing. Errors: kUnavailable.
  [[nodiscard]] virtual base::Result<std::optional<CommittedOffset>> committed(
      const std::string& group, const TopicPartition& partition, base::Deadline deadline) = 0;
  /// Of all groups, by group, topic and partition.
  [[nodiscard]] virtual base::Result<std::vector<GroupOffset>> list_group_offsets(
      base::Deadline deadline) = 0;
};

// Kafka's limits (org.apache.kafka.common.internals.Topic, offset.metadata.max.bytes), kept on every log:
// what works on one must work on the others.
inline constexpr std::int32_t kTopicPartitionsMax = 10'000;
inline constexpr std::size_t kCommitMetadataBytesMax = 4'096;
/// What one read of several partitions brought of one of them: never empty, from the offset asked for on.
struct PartitionRead {
  TopicPartition partition;
  std::vector<Record> records;
};
/// Reads from several partitions without waiting, with one limit over all of them. Each has an equal share of
/// it, so that a backlog in one holds up none of the others; what some leave of their shares goes to the
/// rest. `turn` says whose share is taken first; a caller that raises it from call to call gives every
/// partition its turn, also when the limit is smaller than the number of partitions. The bytes may exceed the
/// limit by one record. Errors: as read.
[[nodiscard]] base::Result<std::vector<PartitionRead>> read_shared(EventLog& log,
                                                                   std::span<const LogPosition> positions,
                                                                   ReadLimit limit, std::size_t turn);

/// A name is 1 to 249 letters, digits, '.', '_' or '-', and neither "." nor "..". Errors: kInvalid.
[[nodiscard]] base::Result<void> check_topic(std::string_view name, std::int32_t partitions);

/// Makes the topic if it is not there, and gives it partitions if it has fewer. Errors: as ensure_topic and
/// grow_topic.
[[nodiscard]] base::Result<TopicInfo> ensure_partitions(EventLog& log, const std::string& topic,
                                                        std::int32_t partitions_min, base::Deadline deadline);

/// Key, value and headers: what ReadLimit and `record_bytes_max` count.
[[nodiscard]] std::size_t bytes_of(const NewRecord& record);
[[nodiscard]] std::size_t bytes_of(const Record& record);

/// The partition of a key: CRC-32 (IEEE) of the key modulo the number of partitions, the rule that librdkafka
/// calls "consistent" and that SQL servers can compute with CRC32().
[[nodiscard]] std::int32_t partition_of(std::string_view key, std::int32_t partitions);

}  // namespace millrace::ports
