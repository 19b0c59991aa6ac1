// Looking at a Kafka cluster from outside.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapters/kafka/kafka_event_log.h"
#include "ports/log_inspector.h"

namespace millrace::adapters::kafka {

/// Asks the brokers anew at every call, and joins no group. Internal topics are among the topics;
/// incarnations are topic ids; states of groups are spelled as Kafka's own tools spell them.
class KafkaLogInspector final : public ports::LogInspector {
 public:
  /// Connects to nothing yet. Of the options it uses `brokers`, `client_id` and `client_settings`. Errors:
  /// kInvalid (client_settings).
  [[nodiscard]] static base::Result<std::unique_ptr<KafkaLogInspector>> open(const Options& options);
  ~KafkaLogInspector() override;
  KafkaLogInspector(const KafkaLogInspector&) = delete;
  KafkaLogInspector& operator=(const KafkaLogInspector&) = delete;

  base::Result<ports::ClusterState> cluster(base::Deadline deadline) override;
  base::Result<std::vector<ports::TopicState>> topics(base::Deadline deadline) override;
  base::Result<ports::TopicState> topic(const std::string& name, base::Deadline deadline) override;
  base::Result<std::vector<ports::GroupState>> groups(base::Deadline deadline) override;
  base::Result<ports::GroupState> group(const std::string& name, base::Deadline deadline) override;

 private:
  class Impl;
  explicit KafkaLogInspector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::kafka
