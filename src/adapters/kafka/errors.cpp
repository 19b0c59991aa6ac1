#include "adapters/kafka/errors.h"

#include <algorithm>
#include <array>

namespace millrace::adapters::kafka {
namespace {

using base::ErrorKind;

constexpr std::string_view kBrokers = "check that the brokers run and that kafka.brokers names them";
constexpr std::string_view kCredentials =
    "check sasl.mechanisms, sasl.username and sasl.password in kafka.client, and the user on the brokers";
constexpr std::string_view kRights =
    "give the user of kafka.client the rights that the README lists, on the topic and on the group";
constexpr std::string_view kReplicas = "start the brokers that are down; it resumes by itself";
constexpr std::string_view kTooOld = "the brokers are too old: use Kafka 3.7 or newer";
constexpr std::string_view kTooLarge =
    "raise the topic's max.message.bytes (or message.max.bytes of the brokers)";

// Codes with two underscores are the library's own, the others are the brokers'.
constexpr std::array kClasses = {
    // Retry.
    ErrorClass{RD_KAFKA_RESP_ERR__TRANSPORT, ErrorKind::kUnavailable, kBrokers},
    ErrorClass{RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, ErrorKind::kUnavailable, kBrokers},
    ErrorClass{RD_KAFKA_RESP_ERR__TIMED_OUT, ErrorKind::kUnavailable, kBrokers},
    ErrorClass{RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, ErrorKind::kUnavailable, kBrokers},
    ErrorClass{RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, ErrorKind::kUnavailable, kBrokers},
    ErrorClass{RD_KAFKA_RESP_ERR__WAIT_COORD, ErrorKind::kUnavailable, kBrokers},
    ErrorClass{
        RD_KAFKA_RESP_ERR__RESOLVE, ErrorKind::kUnavailable,
        "check the host names in kafka.brokers, and those under which the brokers announce themselves"},
    ErrorClass{RD_KAFKA_RESP_ERR__SSL, ErrorKind::kUnavailable,
               "check security.protocol and ssl.ca.location in kafka.client, and the brokers' certificates"},
    ErrorClass{RD_KAFKA_RESP_ERR__AUTHENTICATION, ErrorKind::kUnavailable, kCredentials},
    ErrorClass{RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ErrorKind::kUnavailable, kCredentials},
    ErrorClass{RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, ErrorKind::kUnavailable, kCredentials},
    ErrorClass{RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, ErrorKind::kUnavailable, kCredentials},
    ErrorClass{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ErrorKind::kUnavailable, kRights},
    ErrorClass{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ErrorKind::kUnavailable, kRights},
    ErrorClass{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ErrorKind::kUnavailable, kRights},
    ErrorClass{RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ErrorKind::kUnavailable, kRights},
    ErrorClass{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, ErrorKind::kUnavailable, kReplicas},
    ErrorClass{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorKind::kUnavailable, kReplicas},
    ErrorClass{RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, ErrorKind::kUnavailable, kReplicas},
    ErrorClass{RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, ErrorKind::kUnavailable, kReplicas},
    ErrorClass{RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, ErrorKind::kUnavailable, kReplicas},
    ErrorClass{RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_NOT_CONTROLLER, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, ErrorKind::kUnavailable, kReplicas},
    ErrorClass{RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, ErrorKind::kUnavailable,
               "look at the disks of the brokers and at their logs"},
    ErrorClass{RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, ErrorKind::kUnavailable, kReplicas},
    ErrorClass{RD_KAFKA_RESP_ERR_NOT_COORDINATOR, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, ErrorKind::kUnavailable,
               "start as many brokers as kafka.replication_factor asks for, or lower it"},
    ErrorClass{RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__QUEUE_FULL, ErrorKind::kUnavailable, kBrokers},
    // Retry, with a producer recreated where the library calls it fatal.
    ErrorClass{RD_KAFKA_RESP_ERR__FATAL, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__PURGE_QUEUE, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, ErrorKind::kUnavailable, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_PRODUCER_FENCED, ErrorKind::kUnavailable, {}},
    // Give up the assignment.
    ErrorClass{RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, ErrorKind::kConflict, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, ErrorKind::kConflict, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, ErrorKind::kConflict, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ErrorKind::kConflict, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, ErrorKind::kConflict, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, ErrorKind::kConflict, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__NO_OFFSET, ErrorKind::kConflict, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, ErrorKind::kConflict, {}},
    // This record, or batch of records.
    ErrorClass{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ErrorKind::kRejected, kTooLarge},
    ErrorClass{RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, ErrorKind::kRejected, kTooLarge},
    // Not there.
    ErrorClass{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ErrorKind::kNotFound, {}},
    ErrorClass{kUnknownTopicId, ErrorKind::kNotFound, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ErrorKind::kNotFound, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ErrorKind::kNotFound, {}},
    // What was asked for makes no sense.
    ErrorClass{RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, ErrorKind::kInvalid, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_INVALID_CONFIG, ErrorKind::kInvalid, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_POLICY_VIOLATION, ErrorKind::kInvalid,
               "the cluster's own rules for topics refuse it: make the topic by hand"},
    ErrorClass{RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, ErrorKind::kInvalid, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, ErrorKind::kInvalid, {}},
    ErrorClass{RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, ErrorKind::kInvalid, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, ErrorKind::kInvalid, {}},
    ErrorClass{RD_KAFKA_RESP_ERR__INVALID_ARG, ErrorKind::kInvalid, {}},
    // No wait mends it.
    ErrorClass{RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, ErrorKind::kFatal, kTooOld},
    ErrorClass{RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, ErrorKind::kFatal, kTooOld},
    ErrorClass{RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, ErrorKind::kFatal, kTooOld},
};

}  // namespace

std::span<const ErrorClass> error_classes() {
  return kClasses;
}

ErrorClass classify(rd_kafka_resp_err_t code) {
  const auto* const found =
      std::ranges::find_if(kClasses, [code](const ErrorClass& entry) { return entry.code == code; });
  return found == kClasses.end() ? ErrorClass{code, ErrorKind::kUnavailable, {}} : *found;
}

bool is_timeout(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT ||
         code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
         code == RD_KAFKA_RESP_ERR__WAIT_COORD || code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
}

std::string plain_reason(std::string_view reason) {
  // "host:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state
  // CONNECT, 4 identical error(s) suppressed)"
  if (const auto after = reason.rfind(" (after "); after != std::string_view::npos)
    reason = reason.substr(0, after);
  std::string text(reason);
  const auto scheme = text.find("://");
  const auto host = scheme == std::string::npos ? 0 : scheme + 3;
  const auto slash = text.find('/', host);
  const auto colon = text.find(": ", host);
  if (slash < colon && colon != std::string::npos) text.erase(slash, colon - slash);
  return text;
}

}  // namespace millrace::adapters::kafka
