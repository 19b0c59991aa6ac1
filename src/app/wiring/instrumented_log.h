// An event log whose calls are measured.
#pragma once

#include "ports/event_log.h"
#include "telemetry/registry.h"

namespace millrace::app {

/// Hands every call on to `log`, and measures how long appends take until they are acknowledged, and commits
/// of offsets until they are done. As thread-safe as `log`, which must outlive it.
class InstrumentedLog final : public ports::EventLog {
 public:
  /// `stage`: the label of the measurements.
  InstrumentedLog(ports::EventLog& log, telemetry::Registry& registry, const std::string& stage)
      : log_(log),
        append_(registry.histogram("millrace_log_append_duration_seconds", {{"stage", stage}})),
        commit_(registry.histogram("millrace_log_commit_duration_seconds", {{"stage", stage}})) {}

  base::Result<ports::TopicInfo> ensure_topic(const std::string& topic, std::int32_t partitions,
                                              base::Deadline deadline) override {
    return log_.ensure_topic(topic, partitions, deadline);
  }
  base::Result<ports::TopicInfo> grow_topic(const std::string& topic, std::int32_t partitions,
                                            base::Deadline deadline) override {
    return log_.grow_topic(topic, partitions, deadline);
  }
  base::Result<ports::TopicInfo> describe_topic(const std::string& topic, base::Deadline deadline) override {
    return log_.describe_topic(topic, deadline);
  }
  base::Result<std::vector<ports::TopicInfo>> list_topics(base::Deadline deadline) override {
    return log_.list_topics(deadline);
  }
  base::Result<std::int64_t> append(const ports::TopicPartition& partition,
                                    std::span<const ports::NewRecord> records,
                                    base::Deadline deadline) override {
    const telemetry::Timer timer(append_);
    return log_.append(partition, records, deadline);
  }
  base::Result<std::unique_ptr<ports::PendingAppend>> start_append(
      std::span<const ports::PartitionRecords> batches, base::Deadline deadline) override;
  std::size_t record_bytes_max() const override { return log_.record_bytes_max(); }
  base::Result<std::vector<ports::Record>> read(const ports::TopicPartition& partition, std::int64_t offset,
                                                ports::ReadLimit limit, base::Deadline deadline) override {
    return log_.read(partition, offset, limit, deadline);
  }
  base::Result<bool> wait_any(std::span<const ports::LogPosition> positions,
                              base::Deadline deadline) override {
    return log_.wait_any(positions, deadline);
  }
  base::Result<std::vector<ports::Record>> read_before(const ports::TopicPartition& partition,
                                                       std::int64_t position, std::size_t count,
                                                       base::Deadline deadline) override {
    return log_.read_before(partition, position, count, deadline);
  }
  base::Result<ports::OffsetRange> offsets(const ports::TopicPartition& partition,
                                           base::Deadline deadline) override {
    return log_.offsets(partition, deadline);
  }
  base::Result<void> delete_records(const ports::TopicPartition& partition, std::int64_t offset,
                                    base::Deadline deadline) override {
    return log_.delete_records(partition, offset, deadline);
  }
  base::Result<std::unique_ptr<ports::GroupMember>> join(const std::string& group, const std::string& topic,
                                                         base::Deadline deadline) override;
  base::Result<std::optional<ports::CommittedOffset>> committed(const std::string& group,
                                                                const ports::TopicPartition& partition,
                                                                base::Deadline deadline) override {
    return log_.committed(group, partition, deadline);
  }
  base::Result<std::vector<ports::GroupOffset>> list_group_offsets(base::Deadline deadline) override {
    return log_.list_group_offsets(deadline);
  }

 private:
  ports::EventLog& log_;
  const telemetry::Histogram append_;
  const telemetry::Histogram commit_;
};

}  // namespace millrace::app
