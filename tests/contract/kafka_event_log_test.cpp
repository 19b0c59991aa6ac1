#include "adapters/kafka/kafka_event_log.h"

#include <csignal>

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include "adapters/kafka/kafka_log_inspector.h"
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
    spdlog::default_logger();  // made before the cluster, so that it is there until the last node has stopped
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
    auto looking = KafkaLogInspector::open(Cluster::get().options());
    if (!looking) throw std::runtime_error(looking.error().message);
    inspector_ = std::move(*looking);
  }
  ports::EventLog& log() override { return *log_; }
  ports::LogInspector& inspector() override { return *inspector_; }

 private:
  std::unique_ptr<KafkaLogInspector> inspector_;
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

std::unique_ptr<KafkaEventLog> open_log(const Options& options) {
  auto opened = KafkaEventLog::open(options);
  if (!opened) throw std::runtime_error(opened.error().message);
  return std::move(*opened);
}
Deadline soon() {
  return Deadline::in(std::chrono::seconds(20));
}
std::vector<ports::NewRecord> records_of(std::size_t count, std::size_t bytes) {
  return std::vector<ports::NewRecord>(count, {"key", std::string(bytes, 'x'), {}, base::utc_from_ms(1)});
}

TEST(KafkaEventLog, AddsPartitionsAndNeverTakesAny) {
  const auto log = open_log(Cluster::get().options());
  EXPECT_EQ(log->grow_topic("growing", 2, soon()).error().kind, ErrorKind::kNotFound);
  const auto made = log->ensure_topic("growing", 2, soon());
  ASSERT_TRUE(made) << made.error().message;
  const auto grown = log->grow_topic("growing", 5, soon());
  ASSERT_TRUE(grown) << grown.error().message;
  EXPECT_EQ(grown->partitions, 5);
  EXPECT_EQ(grown->incarnation, made->incarnation);
  EXPECT_EQ(log->grow_topic("growing", 3, soon())->partitions, 5);
  EXPECT_TRUE(log->append({"growing", 4}, records_of(1, 10), soon()));
}

TEST(KafkaEventLog, SaysThatReplicasAreMissingAndGoesOnWhenTheyAreBack) {
  Options options = Cluster::get().options();
  options.min_in_sync = 3;
  ASSERT_TRUE(open_log(options)->ensure_topic("too-few", 1, soon()));
  ASSERT_TRUE(open_log(options)->append({"too-few", 0}, records_of(1, 10), soon()));
  options.delivery_timeout = std::chrono::milliseconds(500);
  const auto log = open_log(options);
  const auto append = [&] {
    return log->append({"too-few", 0}, records_of(1, 10), Deadline::in(std::chrono::milliseconds(600)));
  };
  const pid_t broker = Cluster::get().kafka().status().at(2).pid;
  ASSERT_EQ(kill(broker, SIGSTOP), 0);
  auto sent = append();
  for (const Deadline patience = Deadline::in(std::chrono::seconds(60));
       (sent || sent.error().vendor_code != RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS) && !patience.passed();)
    sent = append();
  kill(broker, SIGCONT);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(sent.error().message.find("2 of 3 replicas are in sync"), std::string::npos)
      << sent.error().message;
  for (const Deadline patience = Deadline::in(std::chrono::seconds(60)); !sent && !patience.passed();)
    sent = append();
  EXPECT_TRUE(sent) << sent.error().message;
}

TEST(KafkaEventLog, LearnsThatATopicTakesOnlySmallerRecords) {
  Options narrow = Cluster::get().options();
  narrow.record_bytes_max = 10'000;
  ASSERT_TRUE(open_log(narrow)->ensure_topic("narrow", 1, soon()));
  const auto log = open_log(Cluster::get().options());
  ASSERT_EQ(log->record_bytes_max(), 1'000'000u);
  // Each of them is small enough, but not all of them at a time.
  const auto together = log->append({"narrow", 0}, records_of(300, 1'000), soon());
  ASSERT_FALSE(together);
  EXPECT_EQ(together.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(together.error().message.find("max.message.bytes"), std::string::npos)
      << together.error().message;
  const std::int64_t before = log->offsets({"narrow", 0}, soon())->end;
  const auto again = log->append({"narrow", 0}, records_of(300, 1'000), soon());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, before);
  EXPECT_LT(log->record_bytes_max(), 110'000u);
  EXPECT_EQ(log->append({"narrow", 0}, records_of(1, 200'000), soon()).error().kind, ErrorKind::kRejected);
  EXPECT_TRUE(log->append({"narrow", 0}, records_of(1, log->record_bytes_max() - 3), soon()));
}

TEST(KafkaEventLog, GivesTheStatisticsOfItsClients) {
  Options options = Cluster::get().options();
  options.statistics_interval = std::chrono::milliseconds(100);
  const auto log = open_log(options);
  ASSERT_TRUE(log->ensure_topic("counted", 1, soon()));
  ASSERT_TRUE(log->append({"counted", 0}, records_of(3, 10), soon()));
  const auto is_counted = [&] {
    // Reading is what polls the clients that read.
    EXPECT_TRUE(log->read({"counted", 0}, 0, {10, 1'000}, soon()));
    const auto all = log->statistics();
    return all.size() >= 2 && all[0].type == "producer" && all[0].messages_sent == 3 &&
           all[0].brokers.size() == 3 && all[1].type == "consumer" && all[1].messages_received >= 3;
  };
  bool counted = false;
  for (const Deadline patience = soon(); !counted && !patience.passed();) counted = is_counted();
  EXPECT_TRUE(counted);
}

TEST(KafkaEventLog, LearnsWhichOfSeveralTopicsTakesOnlySmallerRecords) {
  Options narrow = Cluster::get().options();
  narrow.record_bytes_max = 10'000;
  ASSERT_TRUE(open_log(narrow)->ensure_topic("narrow-second", 1, soon()));
  const auto log = open_log(Cluster::get().options());
  ASSERT_TRUE(log->ensure_topic("wide-first", 1, soon()));
  const std::vector<ports::PartitionRecords> batches = {{{"wide-first", 0}, records_of(1, 10)},
                                                        {{"narrow-second", 0}, records_of(300, 1'000)}};
  const auto pending = log->start_append(batches, soon());
  ASSERT_TRUE(pending) << pending.error().message;
  const auto done = (*pending)->wait(soon());
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("narrow-second"), std::string::npos) << done.error().message;
  EXPECT_LT(log->record_bytes_max(), 110'000u);
  EXPECT_TRUE((*log->start_append(batches, soon()))->wait(soon()));
}

TEST(KafkaEventLog, RefusesBrokersThatAreNoAddresses) {
  for (const char* list : {"", "a:1,", ":9092", "host:", "host:0", "host:70000", "host:9092;other:9092"}) {
    Options options;
    options.brokers = list;
    const auto log = KafkaEventLog::open(options);
    ASSERT_FALSE(log) << list;
    EXPECT_EQ(log.error().kind, ErrorKind::kInvalid) << list;
  }
  for (const char* list : {"host", "host:9092, other:9092", "[::1]:9092", "[::1]"}) {
    Options options;
    options.brokers = list;
    EXPECT_TRUE(KafkaEventLog::open(options)) << list;
  }
}

TEST(KafkaEventLog, NeverShowsTheValueOfASecretSetting) {
  Options options;
  options.client_settings = {{"ssl.key.pem", "hunter2"}, {"security.protocol", "ssl"}};
  const auto log = KafkaEventLog::open(options);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().message.find("hunter2"), std::string::npos) << log.error().message;
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
