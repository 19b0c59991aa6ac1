#include "adapters/kafka/kafka_log_inspector.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>

#include <fmt/format.h>

#include "adapters/kafka/client.h"
#include "adapters/kafka/group_offsets.h"
#include "adapters/kafka/quorum.h"
#include "base/text.h"

// Not in the header that we build with; see client.h.
extern "C" {
typedef rd_kafka_event_t rd_kafka_DescribeCluster_result_t;                        // NOLINT
typedef rd_kafka_event_t rd_kafka_ListOffsets_result_t;                            // NOLINT
typedef struct rd_kafka_ListOffsetsResultInfo_s rd_kafka_ListOffsetsResultInfo_t;  // NOLINT
void rd_kafka_DescribeCluster(rd_kafka_t* rk, const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* rkqu);
const rd_kafka_DescribeCluster_result_t* rd_kafka_event_DescribeCluster_result(rd_kafka_event_t* rkev);
const rd_kafka_Node_t** rd_kafka_DescribeCluster_result_nodes(const rd_kafka_DescribeCluster_result_t* result,
                                                              size_t* cntp);
const char* rd_kafka_DescribeCluster_result_cluster_id(const rd_kafka_DescribeCluster_result_t* result);
const char* rd_kafka_Node_rack(const rd_kafka_Node_t* node);
void rd_kafka_ListOffsets(rd_kafka_t* rk, rd_kafka_topic_partition_list_t* topic_partitions,
                          const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* rkqu);
const rd_kafka_ListOffsets_result_t* rd_kafka_event_ListOffsets_result(rd_kafka_event_t* rkev);
const rd_kafka_ListOffsetsResultInfo_t** rd_kafka_ListOffsets_result_infos(
    const rd_kafka_ListOffsets_result_t* result, size_t* cntp);
const rd_kafka_topic_partition_t* rd_kafka_ListOffsetsResultInfo_topic_partition(
    const rd_kafka_ListOffsetsResultInfo_t* result_info);
}

namespace millrace::adapters::kafka {
namespace {

using base::Deadline;
using base::Result;
using ports::TopicPartition;

constexpr std::chrono::milliseconds kFirstPatience{1'500};
constexpr std::chrono::milliseconds kPause{200};  // before a question is put to another connection
constexpr std::chrono::milliseconds kNewsTime{400};
constexpr std::chrono::milliseconds kNewsPause{50};
constexpr std::chrono::milliseconds kQuorumTime{1'000};  // of one broker
// Of rd_kafka_OffsetSpec_t.
constexpr std::int64_t kEarliest = -2;
constexpr std::int64_t kLatest = -1;

/// What one attempt at an answer may take.
struct Turn {
  Deadline deadline;
  bool is_last = false;  ///< A part of an answer is better than none.
};

using Ends = std::map<TopicPartition, std::int64_t>;

std::string no_topic(const std::string& name) {
  return fmt::format("there is no topic '{}'", base::printable(name, 80));
}
std::string no_group(const std::string& name) {
  return fmt::format("there is no consumer group '{}'", base::printable(name, 80));
}

std::string text_of(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

/// Of one end (kEarliest, kLatest) of each partition that has a leader; those that do not answer are left
/// out.
Result<Ends> ask_offsets(const Client& client, const std::vector<TopicPartition>& partitions,
                         std::int64_t which, Turn turn) {
  Ends ends;
  if (partitions.empty()) return ends;
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const TopicPartition& partition : partitions)
    rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition)->offset =
        which;
  auto event = client.ask(
      "offsets", RD_KAFKA_ADMIN_OP_ANY, turn.deadline,
      [&](const auto* admin, auto* queue) { rd_kafka_ListOffsets(client.get(), list.get(), admin, queue); });
  if (!event && turn.is_last) return ends;  // of a leader that is silent
  if (!event) return std::unexpected(std::move(event).error());
  std::size_t count = 0;
  const auto* const infos =
      rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event->get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto* const info = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
    if (info->err == RD_KAFKA_RESP_ERR_NO_ERROR && info->offset >= 0)
      ends[{info->topic, info->partition}] = info->offset;
  }
  return ends;
}

ports::TopicState state_of(const rd_kafka_metadata_topic_t& topic) {
  ports::TopicState state;
  state.info.topic = topic.topic;
  state.info.partitions = topic.partition_cnt;
  for (int i = 0; i < topic.partition_cnt; ++i) {
    const rd_kafka_metadata_partition_t& found = topic.partitions[i];
    ports::PartitionState partition;
    partition.partition = found.id;
    if (found.leader >= 0) partition.leader = found.leader;
    partition.replicas.assign(found.replicas, found.replicas + found.replica_cnt);
    partition.in_sync.assign(found.isrs, found.isrs + found.isr_cnt);
    std::ranges::sort(partition.in_sync);
    state.partitions.push_back(std::move(partition));
  }
  std::ranges::sort(state.partitions, {}, &ports::PartitionState::partition);
  return state;
}

/// Adds the topic ids and which topics are internal. A topic that went meanwhile stays without.
Result<void> add_descriptions(const Client& client, std::vector<ports::TopicState>& states,
                              Deadline deadline) {
  if (states.empty()) return {};
  std::vector<const char*> names;
  names.reserve(states.size());
  for (const ports::TopicState& state : states) names.push_back(state.info.topic.c_str());
  const std::unique_ptr<rd_kafka_TopicCollection_t, Destroy<rd_kafka_TopicCollection_destroy>> wanted(
      rd_kafka_TopicCollection_of_topic_names(names.data(), names.size()));
  MILLRACE_TRY_ASSIGN(
      const Event event,
      client.ask("describe topics", RD_KAFKA_ADMIN_OP_ANY, deadline, [&](const auto* admin, auto* queue) {
        rd_kafka_DescribeTopics(client.get(), wanted.get(), admin, queue);
      }));
  std::size_t count = 0;
  const auto* const found =
      rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const rd_kafka_error_t* const error = rd_kafka_TopicDescription_error(found[i]);
    if (error != nullptr && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    const auto state = std::ranges::find(states, std::string(rd_kafka_TopicDescription_name(found[i])),
                                         [](const ports::TopicState& one) { return one.info.topic; });
    if (state == states.end()) continue;
    state->info.topic_id = topic_id(found[i]);
    state->is_internal = rd_kafka_TopicDescription_is_internal(found[i]) != 0;
  }
  return {};
}

Result<void> add_offsets(const Client& client, std::vector<ports::TopicState>& states, Turn turn) {
  std::vector<TopicPartition> led;
  for (const ports::TopicState& state : states)
    for (const ports::PartitionState& partition : state.partitions)
      if (partition.leader) led.push_back({state.info.topic, partition.partition});
  const Turn half{Deadline::in(turn.deadline.left() / 2), turn.is_last};
  MILLRACE_TRY_ASSIGN(const Ends begins, ask_offsets(client, led, kEarliest, half));
  MILLRACE_TRY_ASSIGN(const Ends ends, ask_offsets(client, led, kLatest, turn));
  for (ports::TopicState& state : states)
    for (ports::PartitionState& partition : state.partitions) {
      const TopicPartition key{state.info.topic, partition.partition};
      const auto begin = begins.find(key);
      const auto end = ends.find(key);
      if (begin == begins.end() || end == ends.end()) continue;
      // Records may have been removed between the two questions.
      partition.offsets = {begin->second, std::max(begin->second, end->second)};
    }
  return {};
}

Result<std::vector<ports::TopicSetting>> ask_settings(const Client& client, const std::string& topic,
                                                      Deadline deadline) {
  const std::unique_ptr<rd_kafka_ConfigResource_t, Destroy<rd_kafka_ConfigResource_destroy>> wanted(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  rd_kafka_ConfigResource_t* resources[] = {wanted.get()};
  const std::string doing = "settings of topic " + topic;
  MILLRACE_TRY_ASSIGN(
      const Event event,
      client.ask(doing, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, deadline, [&](const auto* admin, auto* queue) {
        rd_kafka_DescribeConfigs(client.get(), resources, 1, admin, queue);
      }));
  std::size_t count = 0;
  const auto* const found =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  std::vector<ports::TopicSetting> settings;
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto code = rd_kafka_ConfigResource_error(found[i]); code != RD_KAFKA_RESP_ERR_NO_ERROR)
      return client.failed(doing, code, rd_kafka_ConfigResource_error_string(found[i]));
    std::size_t entries = 0;
    const auto* const configs = rd_kafka_ConfigResource_configs(found[i], &entries);
    for (std::size_t c = 0; c < entries; ++c) {
      if (rd_kafka_ConfigEntry_is_sensitive(configs[c]) != 0) continue;
      settings.push_back(
          {text_of(rd_kafka_ConfigEntry_name(configs[c])), text_of(rd_kafka_ConfigEntry_value(configs[c]))});
    }
  }
  std::ranges::sort(settings, {}, &ports::TopicSetting::name);
  return settings;
}

/// Names of all groups, each with the state that the list gives.
Result<std::map<std::string, std::string>> ask_group_names(const Client& client, Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const Event event, client.ask("list groups", RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
                                                    deadline, [&](const auto* admin, auto* queue) {
                                                      rd_kafka_ListConsumerGroups(client.get(), admin, queue);
                                                    }));
  const auto* const result = rd_kafka_event_ListConsumerGroups_result(event.get());
  std::size_t count = 0;
  const auto* const errors = rd_kafka_ListConsumerGroups_result_errors(result, &count);
  // A part of the groups would look as if the others were gone.
  if (count > 0)
    return client.failed("list groups", rd_kafka_error_code(errors[0]), rd_kafka_error_string(errors[0]));
  const auto* const listed = rd_kafka_ListConsumerGroups_result_valid(result, &count);
  std::map<std::string, std::string> names;
  for (std::size_t i = 0; i < count; ++i)
    names[rd_kafka_ConsumerGroupListing_group_id(listed[i])] =
        rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(listed[i]));
  return names;
}

/// Reads big-endian numbers and texts; false from the first one on that is not there.
class Bytes {
 public:
  Bytes(const void* bytes, int size)
      : left_(static_cast<const char*>(bytes), static_cast<std::size_t>(std::max(size, 0))) {}
  template <class Number>
  bool read(Number& number) {
    if (left_.size() < sizeof(Number)) return false;
    std::make_unsigned_t<Number> value = 0;
    for (const char byte : left_.substr(0, sizeof(Number)))
      value = static_cast<std::make_unsigned_t<Number>>(value << 8U | static_cast<unsigned char>(byte));
    number = static_cast<Number>(value);
    left_.remove_prefix(sizeof(Number));
    return true;
  }
  bool read(std::string& text) {
    std::int16_t size = 0;
    if (!read(size) || size < 0 || left_.size() < static_cast<std::size_t>(size)) return false;
    text = left_.substr(0, static_cast<std::size_t>(size));
    left_.remove_prefix(static_cast<std::size_t>(size));
    return true;
  }

 private:
  std::string_view left_;
};

/// What a member was given, as consumers of the "consumer" protocol type write it: a version, then topics
/// with their partitions. Source: Kafka's ConsumerProtocolAssignment.json. As far as it can be read.
std::vector<TopicPartition> assignment_of(const void* bytes, int size) {
  std::vector<TopicPartition> partitions;
  Bytes rest(bytes, size);
  std::int16_t version = 0;
  std::int32_t topics = 0;
  if (!rest.read(version) || !rest.read(topics)) return partitions;
  for (std::int32_t t = 0; t < topics; ++t) {
    std::string topic;
    std::int32_t count = 0;
    if (!rest.read(topic) || !rest.read(count)) return partitions;
    for (std::int32_t p = 0; p < count; ++p) {
      std::int32_t partition = 0;
      if (!rest.read(partition)) return partitions;
      partitions.push_back({topic, partition});
    }
  }
  std::ranges::sort(partitions);
  return partitions;
}

ports::MemberState member_of(const rd_kafka_group_member_info& described, bool has_partitions) {
  ports::MemberState member{
      text_of(described.member_id), text_of(described.client_id), text_of(described.client_host), {}};
  // Brokers write "/127.0.0.1".
  if (member.host.starts_with('/')) member.host.erase(0, 1);
  if (has_partitions)
    member.partitions = assignment_of(described.member_assignment, described.member_assignment_size);
  return member;
}

using GroupList = std::unique_ptr<const rd_kafka_group_list, Destroy<rd_kafka_group_list_destroy>>;

/// By the older request, which goes to all brokers: the one to a group's coordinator is not safe (see
/// group_offsets.h).
Result<std::vector<ports::GroupState>> ask_descriptions(const Client& client,
                                                        const std::map<std::string, std::string>& states,
                                                        Deadline deadline) {
  std::vector<ports::GroupState> groups;
  if (states.empty()) return groups;
  for (const auto& [name, state] : states)
    groups.push_back({.group = name, .state = state, .members = {}, .partitions = {}});
  const rd_kafka_group_list* answer = nullptr;
  const auto code =
      rd_kafka_list_groups(client.get(), states.size() == 1 ? states.begin()->first.c_str() : nullptr,
                           &answer, std::max(timeout_ms(deadline), 1));
  const GroupList described(answer);
  // A part of the groups would look as if the others had no members.
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    client.hear();
    return client.failed("describe groups", code);
  }
  for (int i = 0; i < described->group_cnt; ++i) {
    const rd_kafka_group_info& found = described->groups[i];
    const auto group = std::ranges::find(groups, text_of(found.group), &ports::GroupState::group);
    // A group of another protocol, or one that went meanwhile, keeps what the list said of it.
    if (group == groups.end() || found.err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    const std::string state = text_of(found.state);
    if (state == "Dead") continue;
    group->state = state;
    const bool has_partitions = text_of(found.protocol_type) == "consumer";
    for (int m = 0; m < found.member_cnt; ++m)
      group->members.push_back(member_of(found.members[m], has_partitions));
    std::ranges::sort(group->members, {}, &ports::MemberState::id);
  }
  return groups;
}

/// What the group committed, and what its members have without a commit.
Result<void> add_commits(GroupOffsets& offsets, const std::vector<TopicPartition>& partitions,
                         ports::GroupState& group, Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto found, offsets.committed(group.group, partitions, deadline));
  std::map<TopicPartition, std::optional<std::int64_t>> committed;
  for (const ports::MemberState& member : group.members)
    for (const TopicPartition& partition : member.partitions) committed[partition] = std::nullopt;
  for (const auto& [partition, offset] : found) committed[partition] = offset.offset;
  group.partitions.clear();
  for (const auto& [partition, offset] : committed)
    group.partitions.push_back({partition, offset, std::nullopt});
  return {};
}

Result<std::vector<ports::GroupState>> ask_groups(const Client& client, GroupOffsets& offsets,
                                                  const std::vector<TopicPartition>& all,
                                                  const std::map<std::string, std::string>& names,
                                                  Turn turn) {
  MILLRACE_TRY_ASSIGN(auto groups, ask_descriptions(client, names, turn.deadline));
  std::set<TopicPartition> partitions;
  for (ports::GroupState& group : groups) {
    MILLRACE_TRY(add_commits(offsets, all, group, turn.deadline));
    for (const ports::GroupPartition& partition : group.partitions) partitions.insert(partition.partition);
  }
  // After the commits, so that the ends do not lie below them.
  MILLRACE_TRY_ASSIGN(const Ends ends,
                      ask_offsets(client, {partitions.begin(), partitions.end()}, kLatest, turn));
  for (ports::GroupState& group : groups)
    for (ports::GroupPartition& partition : group.partitions)
      if (const auto end = ends.find(partition.partition); end != ends.end()) partition.end = end->second;
  return groups;
}

}  // namespace

class KafkaLogInspector::Impl {
 public:
  explicit Impl(const Options& options) : settings_(options.client_settings) {
    const auto protocol = settings_.find("security.protocol");
    is_plain_ = protocol == settings_.end() || base::to_lower(protocol->second) == "plaintext";
    settings_["bootstrap.servers"] = options.brokers;
    settings_["client.id"] = options.client_id + "-inspector";
    // Of a consumer, which the library wants to have a name.
    settings_["group.id"] = options.client_id + "-inspector";
    settings_["allow.auto.create.topics"] = "false";
    settings_["enable.auto.commit"] = "false";
    settings_["reconnect.backoff.ms"] = "50";
    settings_["reconnect.backoff.max.ms"] = "1000";
    settings_["log.connection.close"] = "false";
    group_offsets_.emplace(settings_);
  }

  GroupOffsets& group_offsets() { return *group_offsets_; }

  Result<void> open() {
    MILLRACE_TRY(client());
    return {};
  }

  /// Over a plain connection: where brokers ask for more, nobody can tell. One that is silent is not waited
  /// for twice.
  std::optional<std::int32_t> quorum_leader(const std::vector<ports::BrokerState>& brokers,
                                            Deadline deadline) const {
    if (!is_plain_) return std::nullopt;
    for (const ports::BrokerState& broker : brokers) {
      if (!broker.is_up || deadline.passed()) continue;
      const Deadline soon = deadline.left() > kQuorumTime ? Deadline::in(kQuorumTime) : deadline;
      if (const auto leader = ask_quorum_leader(broker.host, static_cast<std::uint16_t>(broker.port), soon))
        return *leader;
    }
    return std::nullopt;
  }

  /// Puts the question again, while there is time, when the brokers were away. The library keeps the
  /// coordinator of a group that it found once, also when that one is none any more or has died: so to a
  /// client that knows nothing yet, and the first ones do not get all of the time.
  template <class Question>
  auto ask(Deadline deadline, Question question) -> std::invoke_result_t<Question, const Client&, Turn> {
    for (auto patience = kFirstPatience;; patience *= 2) {
      MILLRACE_TRY_ASSIGN(const std::shared_ptr<Client> used, client());
      const std::chrono::milliseconds left = deadline.left();
      auto answer = question(*used, Turn{Deadline::in(std::min(patience, left)), patience >= left});
      if (answer || answer.error().kind != base::ErrorKind::kUnavailable) return answer;
      {
        const std::lock_guard lock(mutex_);
        if (client_ == used) client_.reset();
      }
      if (deadline.left() <= kPause) return answer;
      std::this_thread::sleep_for(kPause);
    }
  }

 private:
  Result<std::shared_ptr<Client>> client() {
    const std::lock_guard lock(mutex_);
    if (!client_) {
      MILLRACE_TRY_ASSIGN(client_, Client::make(RD_KAFKA_CONSUMER, settings_, {}));
    }
    return client_;
  }

  Client::Settings settings_;
  bool is_plain_ = true;
  std::optional<GroupOffsets> group_offsets_;
  std::mutex mutex_;
  std::shared_ptr<Client> client_;  // guarded by mutex_
};

KafkaLogInspector::KafkaLogInspector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KafkaLogInspector::~KafkaLogInspector() = default;

Result<std::unique_ptr<KafkaLogInspector>> KafkaLogInspector::open(const Options& options) {
  auto impl = std::make_unique<Impl>(options);
  MILLRACE_TRY(impl->open());
  return std::unique_ptr<KafkaLogInspector>(new KafkaLogInspector(std::move(impl)));
}

Result<ports::ClusterState> KafkaLogInspector::cluster(Deadline deadline) {
  return impl_->ask(deadline, [&](const Client& client, Turn turn) -> Result<ports::ClusterState> {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    MILLRACE_TRY_ASSIGN(const Event event, client.ask("describe the cluster", RD_KAFKA_ADMIN_OP_ANY,
                                                      turn.deadline, [&](const auto* admin, auto* queue) {
                                                        rd_kafka_DescribeCluster(client.get(), admin, queue);
                                                      }));
    const auto* const described = rd_kafka_event_DescribeCluster_result(event.get());
    ports::ClusterState cluster;
    cluster.id = text_of(rd_kafka_DescribeCluster_result_cluster_id(described));
    std::size_t count = 0;
    const auto* const nodes = rd_kafka_DescribeCluster_result_nodes(described, &count);
    std::set<std::int32_t> up;
    for (std::size_t i = 0; i < count; ++i) {
      cluster.brokers.push_back({rd_kafka_Node_id(nodes[i]), text_of(rd_kafka_Node_host(nodes[i])),
                                 rd_kafka_Node_port(nodes[i]), text_of(rd_kafka_Node_rack(nodes[i])), true});
      up.insert(rd_kafka_Node_id(nodes[i]));
    }
    // The brokers tell only of those that are up; the others are known by the partitions that they keep.
    std::set<std::int32_t> away;
    for (int t = 0; t < metadata->topic_cnt; ++t)
      for (int p = 0; p < metadata->topics[t].partition_cnt; ++p) {
        const rd_kafka_metadata_partition_t& partition = metadata->topics[t].partitions[p];
        for (int r = 0; r < partition.replica_cnt; ++r)
          if (!up.contains(partition.replicas[r])) away.insert(partition.replicas[r]);
      }
    cluster.controller = impl_->quorum_leader(cluster.brokers, deadline);
    for (const std::int32_t id : away) cluster.brokers.push_back({id, {}, 0, {}, false});
    std::ranges::sort(cluster.brokers, {}, &ports::BrokerState::id);
    return cluster;
  });
}

Result<std::vector<ports::TopicState>> KafkaLogInspector::topics(Deadline deadline) {
  return impl_->ask(deadline, [&](const Client& client, Turn turn) -> Result<std::vector<ports::TopicState>> {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    std::vector<ports::TopicState> states;
    for (int i = 0; i < metadata->topic_cnt; ++i) states.push_back(state_of(metadata->topics[i]));
    std::ranges::sort(states, {}, [](const ports::TopicState& state) { return state.info.topic; });
    MILLRACE_TRY(add_descriptions(client, states, turn.deadline));
    MILLRACE_TRY(add_offsets(client, states, turn));
    return states;
  });
}

Result<ports::TopicState> KafkaLogInspector::topic(const std::string& name, Deadline deadline) {
  // The library would ask for a topic without a name for ever.
  if (!ports::check_topic(name, 1)) return base::not_found(no_topic(name));
  const auto look = [&](const Client& client, Turn turn) -> Result<ports::TopicState> {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    std::vector<ports::TopicState> states;
    for (int i = 0; i < metadata->topic_cnt; ++i)
      if (metadata->topics[i].topic == name) states.push_back(state_of(metadata->topics[i]));
    if (states.empty()) return base::not_found(no_topic(name));
    MILLRACE_TRY(add_descriptions(client, states, turn.deadline));
    MILLRACE_TRY_ASSIGN(states.front().settings, ask_settings(client, name, turn.deadline));
    // Last, because leaders that are silent take all of the time that there is.
    MILLRACE_TRY(add_offsets(client, states, turn));
    return std::move(states.front());
  };
  auto found = impl_->ask(deadline, look);
  // Brokers hear of a new topic one after the other, and any of them may have been asked.
  for (const Deadline patience = Deadline::in(kNewsTime); !found &&
                                                          found.error().kind == base::ErrorKind::kNotFound &&
                                                          !patience.passed() && !deadline.passed();) {
    std::this_thread::sleep_for(kNewsPause);
    found = impl_->ask(deadline, look);
  }
  return found;
}

Result<std::vector<ports::GroupState>> KafkaLogInspector::groups(Deadline deadline) {
  return impl_->ask(deadline, [&](const Client& client, Turn turn) -> Result<std::vector<ports::GroupState>> {
    // First, because it says best why nobody answers.
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    MILLRACE_TRY_ASSIGN(const auto names, ask_group_names(client, turn.deadline));
    return ask_groups(client, impl_->group_offsets(), partitions_of(*metadata), names, turn);
  });
}

Result<ports::GroupState> KafkaLogInspector::group(const std::string& name, Deadline deadline) {
  return impl_->ask(deadline, [&](const Client& client, Turn turn) -> Result<ports::GroupState> {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    MILLRACE_TRY_ASSIGN(const auto names, ask_group_names(client, turn.deadline));
    const auto named = names.find(name);
    if (named == names.end()) return base::not_found(no_group(name));
    MILLRACE_TRY_ASSIGN(auto groups,
                        ask_groups(client, impl_->group_offsets(), partitions_of(*metadata), {*named}, turn));
    return std::move(groups.front());
  });
}

}  // namespace millrace::adapters::kafka
