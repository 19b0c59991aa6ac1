#include "adapters/kafka/errors.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace millrace::adapters::kafka {
namespace {

using base::ErrorKind;

// Written down again here: who moves a code to another kind must say so twice.
const std::map<ErrorKind, std::set<rd_kafka_resp_err_t>> kExpected = {
    {ErrorKind::kUnavailable,
     {RD_KAFKA_RESP_ERR__TRANSPORT,
      RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
      RD_KAFKA_RESP_ERR__TIMED_OUT,
      RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
      RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
      RD_KAFKA_RESP_ERR__WAIT_COORD,
      RD_KAFKA_RESP_ERR__RESOLVE,
      RD_KAFKA_RESP_ERR__SSL,
      RD_KAFKA_RESP_ERR__AUTHENTICATION,
      RD_KAFKA_RESP_ERR__QUEUE_FULL,
      RD_KAFKA_RESP_ERR__FATAL,
      RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE,
      RD_KAFKA_RESP_ERR__PURGE_QUEUE,
      RD_KAFKA_RESP_ERR__PURGE_INFLIGHT,
      RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
      RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM,
      RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE,
      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
      RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
      RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
      RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
      RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
      RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
      RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
      RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
      RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,
      RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,
      RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
      RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER,
      RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
      RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
      RD_KAFKA_RESP_ERR_PRODUCER_FENCED}},
    {ErrorKind::kConflict,
     {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
      RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
      RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, RD_KAFKA_RESP_ERR__NO_OFFSET,
      RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS}},
    {ErrorKind::kRejected, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE}},
    {ErrorKind::kNotFound,
     {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, kUnknownTopicId, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION}},
    {ErrorKind::kInvalid,
     {RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_CONFIG,
      RD_KAFKA_RESP_ERR_POLICY_VIOLATION, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
      RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
      RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR__INVALID_ARG}},
    {ErrorKind::kFatal,
     {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
      RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT}},
};

TEST(KafkaErrors, AreSortedByWhatTheCallerDoesNext) {
  std::map<ErrorKind, std::set<rd_kafka_resp_err_t>> sorted;
  for (const ErrorClass& entry : error_classes()) sorted[entry.kind].insert(entry.code);
  for (const auto& [kind, codes] : kExpected) {
    for (const rd_kafka_resp_err_t code : codes)
      EXPECT_EQ(classify(code).kind, kind) << rd_kafka_err2name(code);
    EXPECT_EQ(sorted[kind].size(), codes.size()) << base::to_string(kind);
  }
  EXPECT_EQ(sorted.size(), kExpected.size());
}

TEST(KafkaErrors, StandInTheTableOnce) {
  std::set<rd_kafka_resp_err_t> codes;
  for (const ErrorClass& entry : error_classes())
    EXPECT_TRUE(codes.insert(entry.code).second) << rd_kafka_err2name(entry.code);
}

TEST(KafkaErrors, AreAskedAgainWhenNobodyKnowsThem) {
  EXPECT_EQ(classify(RD_KAFKA_RESP_ERR_UNKNOWN).kind, ErrorKind::kUnavailable);
  EXPECT_EQ(classify(RD_KAFKA_RESP_ERR__BAD_MSG).kind, ErrorKind::kUnavailable);
}

TEST(KafkaErrors, SayWhatToLookAtWhereAPersonCanMendThem) {
  for (const auto code : {RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR__SSL,
                          RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                          RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                          RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION})
    EXPECT_FALSE(classify(code).advice.empty()) << rd_kafka_err2name(code);
}

TEST(KafkaErrors, LoseWhatOnlyTheLibrarysMakersRead) {
  EXPECT_EQ(
      plain_reason("127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused "
                   "(after 0ms in state CONNECT, 4 identical error(s) suppressed)"),
      "127.0.0.1:9092: Connect to ipv4#127.0.0.1:9092 failed: Connection refused");
  EXPECT_EQ(
      plain_reason("sasl_ssl://kafka.example:9092/2: SASL authentication error (after 3ms in state AUTH)"),
      "sasl_ssl://kafka.example:9092: SASL authentication error");
  EXPECT_EQ(plain_reason("ssl.ca.location failed: a/b"), "ssl.ca.location failed: a/b");
  EXPECT_EQ(plain_reason(""), "");
}

}  // namespace
}  // namespace millrace::adapters::kafka
