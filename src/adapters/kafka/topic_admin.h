// Topics of the cluster: making, describing, asking for settings, deleting records.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/kafka/options.h"
#include "adapters/kafka/producer.h"
#include "base/deadline.h"
#include "base/result.h"
#include "ports/event_log.h"

namespace millrace::adapters::kafka {

// Brokers learn of a topic one after the other.
inline constexpr std::chrono::milliseconds kTopicNewsTime{1'000};  // until every broker knows of it
inline constexpr std::chrono::milliseconds kTopicNewsPause{20};    // between questions until then

/// Asks through the client of the current producer. Thread-safe.
class TopicAdmin {
 public:
  TopicAdmin(const Options& options, CurrentProducer& producer) : options_(options), producer_(producer) {}

  // As the calls of ports::EventLog.
  [[nodiscard]] base::Result<ports::TopicInfo> ensure(const std::string& topic, std::int32_t partitions,
                                                      base::Deadline deadline);
  [[nodiscard]] base::Result<ports::TopicInfo> grow(const std::string& topic, std::int32_t partitions,
                                                    base::Deadline deadline);
  [[nodiscard]] base::Result<ports::TopicInfo> describe(const std::string& topic, base::Deadline deadline);
  [[nodiscard]] base::Result<std::vector<ports::TopicInfo>> list(base::Deadline deadline);
  /// `offset` lies within the partition.
  [[nodiscard]] base::Result<void> delete_records(const ports::TopicPartition& partition, std::int64_t offset,
                                                  base::Deadline deadline);

  /// A setting of the topic that is a number. Errors: kUnavailable, kNotFound.
  [[nodiscard]] base::Result<std::size_t> ask_setting(const std::string& topic, std::string_view name,
                                                      base::Deadline deadline);
  /// Whether the partition is there; asks the brokers only about topics that were never seen, or are smaller
  /// than they should be. Errors: kNotFound, kUnavailable.
  [[nodiscard]] base::Result<void> check_partition(const ports::TopicPartition& partition,
                                                   base::Deadline deadline);
  /// The topic may be gone: the next call looks for it again.
  void forget(const std::string& topic);

  /// Why a record was not acknowledged in time, as far as the cluster can tell. The client asks again by
  /// itself while replicas are missing, and does not say so.
  [[nodiscard]] base::Error not_acknowledged(const Client& client, const std::string& doing,
                                             const ports::TopicPartition& partition,
                                             rd_kafka_resp_err_t code);

 private:
  using Description = std::pair<ports::TopicInfo, bool>;  // and whether it is internal
  [[nodiscard]] base::Result<void> make(const std::string& topic, std::int32_t partitions,
                                        base::Deadline deadline);
  [[nodiscard]] base::Result<std::vector<Description>> describe_all(const std::vector<std::string>& names,
                                                                    base::Deadline deadline);
  [[nodiscard]] bool is_known(const std::string& topic);
  [[nodiscard]] bool has_all_known(const std::vector<std::string>& names);

  const Options& options_;
  CurrentProducer& producer_;
  std::mutex mutex_;
  std::map<std::string, std::int32_t> known_;  // guarded by mutex_; topic → partitions
};

}  // namespace millrace::adapters::kafka
