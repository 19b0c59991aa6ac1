// Looking at the event log from outside: who keeps it, what is in it, how far its readers are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "ports/event_log.h"

namespace millrace::ports {

struct BrokerState {
  std::int32_t id = 0;
  std::string host;       ///< Empty when it is not known, as of a broker that is unavailable.
  std::int32_t port = 0;  ///< 0 when it is not known, or when it listens nowhere.
  std::string rack;
  bool is_up = true;
};

struct ClusterState {
  std::string id;
  std::vector<BrokerState> brokers;  ///< By id; also those that keep partitions and are unavailable.
};

struct PartitionState {
  std::int32_t partition = 0;
  std::optional<std::int32_t> leader;
  std::vector<std::int32_t> replicas;
  std::vector<std::int32_t> in_sync;
  std::optional<OffsetRange> offsets;  ///< Nothing while no leader answers.
};

struct TopicSetting {
  std::string name;  ///< As the log spells it: "retention.ms".
  std::string value;
};

struct TopicState {
  TopicInfo info;
  bool is_internal = false;                ///< The log's own, not of anybody who uses it.
  std::vector<PartitionState> partitions;  ///< By number.
  std::vector<TopicSetting> settings;      ///< By name; only of a topic that was asked for by name.
};

struct MemberState {
  std::string id;
  std::string client_id;
  std::string host;
  std::vector<TopicPartition> partitions;  ///< That are this member's now.
};

/// A partition that a group has committed, or that a member of it has.
struct GroupPartition {
  TopicPartition partition;
  std::optional<std::int64_t> committed;  ///< The next record to read.
  std::optional<std::int64_t> end;        ///< Nothing while no leader answers.

  /// Records behind the committed offset; nothing when one of the two is not known.
  [[nodiscard]] std::optional<std::int64_t> lag() const;
};

struct GroupState {
  std::string group;
  /// "Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Dead" or another word of the log's.
  std::string state;
  std::vector<MemberState> members;
  std::vector<GroupPartition> partitions;  ///< By topic and number.

  /// The sum over the partitions where it is known.
  [[nodiscard]] std::int64_t lag() const;
};

/// Thread-safe. What comes back was true at some moment of the call; offsets of several partitions are not of
/// the same moment. Errors of all: kUnavailable, by the deadline.
class LogInspector {
 public:
  virtual ~LogInspector() = default;

  [[nodiscard]] virtual base::Result<ClusterState> cluster(base::Deadline deadline) = 0;
  /// By name, without settings.
  [[nodiscard]] virtual base::Result<std::vector<TopicState>> topics(base::Deadline deadline) = 0;
  /// With settings. Errors: kNotFound.
  [[nodiscard]] virtual base::Result<TopicState> topic(const std::string& name, base::Deadline deadline) = 0;
  /// By name.
  [[nodiscard]] virtual base::Result<std::vector<GroupState>> groups(base::Deadline deadline) = 0;
  /// Errors: kNotFound.
  [[nodiscard]] virtual base::Result<GroupState> group(const std::string& name, base::Deadline deadline) = 0;
};

}  // namespace millrace::ports
