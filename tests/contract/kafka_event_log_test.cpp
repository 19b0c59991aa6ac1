#include "adapters/kafka/kafka_event_log.h"

#include <gtest/gtest.h>

#include "contract/event_log_contract.h"
#include "supervise/private_kafka.h"
#include "support/free_port.h"
#include "support/temporary_directory.h"

namespace millrace::adapters::kafka {
namespace {

using base::Deadline;
using base::ErrorKind;
using contract::EventLogContract;

/// One cluster for all tests of the program.
class Cluster {
 public:
  static Cluster& get() {
    static Cluster cluster;
    return cluster;
  }
  [[nodiscard]] Options options() const {
    Options options;
    options.brokers = kafka_->brokers();
    return options;
  }
  [[nodiscard]] supervise::PrivateKafka& kafka() { return *kafka_; }

 private:
  Cluster() {
    supervise::PrivateKafkaOptions options;
    options.directory = directory_.path() / "kafka";
    options.nodes.clear();
    for (int node = 0; node < 3; ++node)
      options.nodes.push_back({support::free_port(), support::free_port()});
    kafka_ = std::make_unique<supervise::PrivateKafka>(options);
    const auto started = kafka_->start(Deadline::in(std::chrono::minutes(2)));
    if (!started) throw std::runtime_error(started.error().message);
  }
  support::TemporaryDirectory directory_;
  std::unique_ptr<supervise::PrivateKafka> kafka_;
};

class World final : public contract::EventLogWorld {
 public:
  World() {
    auto opened = KafkaEventLog::open(Cluster::get().options());
    if (!opened) throw std::runtime_error(opened.error().message);
    log_ = std::move(*opened);
  }
  ports::EventLog& log() override { return *log_; }

 private:
  std::unique_ptr<KafkaEventLog> log_;
};

INSTANTIATE_TEST_SUITE_P(Kafka, EventLogContract,
                         testing::Values(contract::EventLogKind{"kafka",
                                                                [] { return std::make_unique<World>(); }}),
                         testing::PrintToStringParamName());

TEST(KafkaEventLog, SaysWhichBrokerIsAwayAndStaysUsable) {
  Options options;
  options.brokers = "127.0.0.1:1";
  auto log = KafkaEventLog::open(options);
  ASSERT_TRUE(log) << log.error().message;
  const auto refused = (*log)->ensure_topic("topic", 1, Deadline::in(std::chrono::seconds(1)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(refused.error().message.find("127.0.0.1:1"), std::string::npos) << refused.error().message;
}

TEST(KafkaEventLog, RefusesSettingsThatTheClientDoesNotKnow) {
  Options options;
  options.client_settings = {{"no.such.setting", "1"}};
  const auto log = KafkaEventLog::open(options);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(log.error().message.find("no.such.setting"), std::string::npos) << log.error().message;
}

}  // namespace
}  // namespace millrace::adapters::kafka
