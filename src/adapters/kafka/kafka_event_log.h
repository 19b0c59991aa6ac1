// The event log on a Kafka cluster.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/kafka/options.h"
#include "adapters/kafka/statistics.h"
#include "ports/event_log.h"

namespace millrace::adapters::kafka {

/// Offsets are Kafka's, so they rise with gaps where transactions of others stand in the topic. Topic ids
/// are topic ids. Appends are idempotent (no repeat, no gap and no change of order by retries inside the
/// client) and wait for all in-sync replicas; what an append left behind at its deadline stays before what is
/// appended later. A record's time must lie after 1970-01-01T00:00:00Z, else it is the time of the append.
///
/// Groups are Kafka's, with cooperative rebalancing: several members share the partitions, a commit is fenced
/// by the group's generation. A member must be asked for its assignments at least every five minutes.
///
/// Refused credentials, missing brokers and too few replicas are kUnavailable, with the reason and what to
/// look at: they may be mended without us (errors.h). A topic that takes only smaller records than
/// `record_bytes_max` lowers it, after the append that found it out (kUnavailable), for as long as it is so.
/// Threads: the client's own, ended by the destructor; members must be gone by then.
class KafkaEventLog final : public ports::EventLog {
 public:
  /// Connects to nothing yet. Errors: kInvalid (brokers, client_settings).
  [[nodiscard]] static base::Result<std::unique_ptr<KafkaEventLog>> open(const Options& options);
  ~KafkaEventLog() override;
  KafkaEventLog(const KafkaEventLog&) = delete;
  KafkaEventLog& operator=(const KafkaEventLog&) = delete;

  base::Result<ports::TopicInfo> ensure_topic(const std::string& topic, std::int32_t partitions,
                                              base::Deadline deadline) override;
  base::Result<ports::TopicInfo> grow_topic(const std::string& topic, std::int32_t partitions,
                                            base::Deadline deadline) override;
  base::Result<ports::TopicInfo> describe_topic(const std::string& topic, base::Deadline deadline) override;
  /// Without Kafka's internal ones.
  base::Result<std::vector<ports::TopicInfo>> list_topics(base::Deadline deadline) override;
  base::Result<std::int64_t> append(const ports::TopicPartition& partition,
                                    std::span<const ports::NewRecord> records,
                                    base::Deadline deadline) override;
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

  /// What the clients counted last: the producer, then each client that reads. Empty until the first
  /// interval is over.
  [[nodiscard]] std::vector<ClientStatistics> statistics() const;

 private:
  class Impl;
  explicit KafkaEventLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::kafka
