// What consumer groups have committed, asked from outside of them.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "adapters/kafka/client.h"
#include "base/deadline.h"
#include "base/result.h"
#include "ports/event_log.h"

namespace millrace::adapters::kafka {

/// Asks as the group's own consumers would, through a client for each group that joins nothing. The library's
/// administrative requests to a group's coordinator are not used: in 2.16 they end the process when the
/// coordinator's connection drops meanwhile (confluentinc/librdkafka, issue 4605). Thread-safe.
class GroupOffsets {
 public:
  /// `settings`: of a consumer, without group.id.
  explicit GroupOffsets(Client::Settings settings) : settings_(std::move(settings)) {}

  /// Of those of the partitions that have a commit. Errors: kUnavailable, by the deadline.
  [[nodiscard]] base::Result<std::map<ports::TopicPartition, ports::CommittedOffset>> committed(
      const std::string& group, std::span<const ports::TopicPartition> partitions, base::Deadline deadline);

 private:
  using Clients = std::list<std::pair<std::string, std::shared_ptr<Client>>>;
  [[nodiscard]] base::Result<std::shared_ptr<Client>> client_of(const std::string& group);
  void drop(const std::string& group, const std::shared_ptr<Client>& client);

  const Client::Settings settings_;
  std::mutex mutex_;
  Clients clients_;  // guarded by mutex_; the one used last comes first
};

/// Of all topics that are not the log's own.
[[nodiscard]] std::vector<ports::TopicPartition> partitions_of(const rd_kafka_metadata_t& metadata);

}  // namespace millrace::adapters::kafka
