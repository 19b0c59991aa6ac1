#include "adapters/kafka/settings.h"

#include <gtest/gtest.h>

namespace millrace::adapters::kafka {
namespace {

TEST(KafkaSettings, KeepWhatExactlyOnceRestsOnWhateverIsConfigured) {
  Options options;
  options.client_settings = {
      {"enable.idempotence", "false"}, {"acks", "1"}, {"allow.auto.create.topics", "true"}};
  const auto producer = producer_settings(options, 500'000);
  EXPECT_EQ(producer.at("enable.idempotence"), "true");
  EXPECT_EQ(producer.at("acks"), "all");
  EXPECT_EQ(producer.at("enable.gapless.guarantee"), "true");
  EXPECT_EQ(producer.at("batch.size"), "500000");
  EXPECT_FALSE(producer.contains("allow.auto.create.topics"));
  const auto member = consumer_settings(options, "group");
  EXPECT_EQ(member.at("group.id"), "group");
  EXPECT_EQ(member.at("enable.auto.commit"), "false");
  EXPECT_EQ(member.at("allow.auto.create.topics"), "false");
  EXPECT_EQ(member.at("heartbeat.interval.ms"), "1000");
  EXPECT_FALSE(consumer_settings(options, "").contains("session.timeout.ms"));
}

TEST(KafkaSettings, AskForStatisticsAsOftenAsConfigured) {
  Options options;
  options.statistics_interval = std::chrono::milliseconds(0);
  EXPECT_EQ(consumer_settings(options, "").at("statistics.interval.ms"), "0");
}

TEST(KafkaSettings, TakeBrokersThatAreAddresses) {
  EXPECT_TRUE(check_brokers("host:9092,[::1]:9092, other"));
  EXPECT_FALSE(check_brokers("host:9092;other:9092"));
}

}  // namespace
}  // namespace millrace::adapters::kafka
