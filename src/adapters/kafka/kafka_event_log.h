// The event log on a Kafka cluster.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ports/event_log.h"

namespace millrace::adapters::kafka {

struct Options {
  std::string brokers = "127.0.0.1:19092,127.0.0.1:19093,127.0.0.1:19094";  ///< host:port, …
  std::string client_id = "millrace";
  // Of topics that we make. Acknowledged means: on min_in_sync brokers.
  std::int16_t replication_factor = 3;
  std::int16_t min_in_sync = 2;
  std::size_t record_bytes_max = 1'000'000;  ///< Below the brokers' message.max.bytes.
  /// A record that is not acknowledged by then is given up by the client; appends with a longer deadline end
  /// then, those with a shorter one leave records behind that may still come in until then.
  std::chrono::milliseconds delivery_timeout{10'000};
  /// A member that is silent for longer loses its partitions.
  std::chrono::milliseconds session_timeout{10'000};
  /// Settings of the client library, set on every connection: "security.protocol", "sasl.username" …
  std::map<std::string, std::string> client_settings;
};

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
  base::Result<void> trim(const ports::TopicPartition& partition, std::int64_t offset,
                          base::Deadline deadline) override;
  base::Result<std::unique_ptr<ports::GroupMember>> join(const std::string& group, const std::string& topic,
                                                         base::Deadline deadline) override;
  base::Result<std::optional<ports::CommittedOffset>> committed(const std::string& group,
                                                                const ports::TopicPartition& partition,
                                                                base::Deadline deadline) override;
  base::Result<std::vector<ports::GroupOffset>> list_group_offsets(base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Result<std::int64_t> find_appended(const ports::TopicPartition& partition,
                                                         std::span<const ports::NewRecord> records,
                                                         base::Deadline deadline);
  class Impl;
  class Pending;
  explicit KafkaEventLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::kafka
