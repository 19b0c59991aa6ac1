#include "adapters/kafka/inspector_questions.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <type_traits>

namespace millrace::adapters::kafka {
namespace {

using base::Deadline;
using base::Result;
using ports::TopicPartition;

using Ends = std::map<TopicPartition, std::int64_t>;

/// Of one end (RD_KAFKA_OFFSET_SPEC_EARLIEST, RD_KAFKA_OFFSET_SPEC_LATEST) of each partition that has a
/// leader; those that do not answer are left out.
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

}  // namespace

std::string text_of(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
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
    state->info.incarnation = topic_id(found[i]);
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
  MILLRACE_TRY_ASSIGN(const Ends begins, ask_offsets(client, led, RD_KAFKA_OFFSET_SPEC_EARLIEST, half));
  MILLRACE_TRY_ASSIGN(const Ends ends, ask_offsets(client, led, RD_KAFKA_OFFSET_SPEC_LATEST, turn));
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
  MILLRACE_TRY_ASSIGN(const Ends ends, ask_offsets(client, {partitions.begin(), partitions.end()},
                                                   RD_KAFKA_OFFSET_SPEC_LATEST, turn));
  for (ports::GroupState& group : groups)
    for (ports::GroupPartition& partition : group.partitions)
      if (const auto end = ends.find(partition.partition); end != ends.end()) partition.end = end->second;
  return groups;
}

}  // namespace millrace::adapters::kafka
