#include "ports/one_process_inspector.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::ports {
namespace {

constexpr std::int32_t kOnlyBroker = 1;

}  // namespace

OneProcessInspector::OneProcessInspector(EventLog& log, std::function<std::vector<JoinedMember>()> joined,
                                         std::vector<TopicSetting> settings)
    : log_(log), joined_(std::move(joined)), settings_(std::move(settings)) {}

base::Result<ClusterState> OneProcessInspector::cluster(base::Deadline /*deadline*/) {
  return ClusterState{.id = "embedded",
                      .brokers = {{.id = kOnlyBroker, .host = "127.0.0.1", .port = 0, .rack = {}}}};
}

base::Result<TopicState> OneProcessInspector::state_of(TopicInfo info, base::Deadline deadline) {
  TopicState state;
  for (std::int32_t number = 0; number < info.partitions; ++number) {
    MILLRACE_TRY_ASSIGN(const OffsetRange range, log_.offsets({info.topic, number}, deadline));
    state.partitions.push_back({number, kOnlyBroker, {kOnlyBroker}, {kOnlyBroker}, range});
  }
  state.info = std::move(info);
  return state;
}

base::Result<std::vector<TopicState>> OneProcessInspector::topics(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto infos, log_.list_topics(deadline));
  std::vector<TopicState> states;
  for (TopicInfo& info : infos) {
    MILLRACE_TRY_ASSIGN(states.emplace_back(), state_of(std::move(info), deadline));
  }
  return states;
}

base::Result<TopicState> OneProcessInspector::topic(const std::string& name, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto info, log_.describe_topic(name, deadline));
  MILLRACE_TRY_ASSIGN(auto state, state_of(std::move(info), deadline));
  state.settings = settings_;
  return state;
}

base::Result<std::vector<GroupState>> OneProcessInspector::groups(base::Deadline deadline) {
  std::map<std::string, GroupState> groups;
  std::map<std::string, std::map<TopicPartition, std::optional<std::int64_t>>> offsets;
  for (const JoinedMember& joined : joined_()) {
    GroupState& group = groups[joined.group];
    MemberState member{.id = fmt::format("{}-{}", joined.group, group.members.size() + 1),
                       .client_id = "millrace",
                       .host = "127.0.0.1",
                       .partitions = {}};
    if (joined.owns) {
      MILLRACE_TRY_ASSIGN(const TopicInfo info, log_.describe_topic(joined.topic, deadline));
      for (std::int32_t number = 0; number < info.partitions; ++number) {
        member.partitions.push_back({joined.topic, number});
        offsets[joined.group][{joined.topic, number}] = std::nullopt;
      }
    }
    group.members.push_back(std::move(member));
  }
  MILLRACE_TRY_ASSIGN(const auto committed, log_.list_group_offsets(deadline));
  for (const GroupOffset& entry : committed) {
    groups.try_emplace(entry.group);
    offsets[entry.group][entry.partition] = entry.committed.offset;
  }
  std::vector<GroupState> states;
  for (auto& [name, group] : groups) {
    group.group = name;
    group.state = group.members.empty() ? "Empty" : "Stable";
    for (const auto& [partition, offset] : offsets[name]) {
      MILLRACE_TRY_ASSIGN(const OffsetRange range, log_.offsets(partition, deadline));
      group.partitions.push_back({partition, offset, range.end});
    }
    states.push_back(std::move(group));
  }
  return states;
}

base::Result<GroupState> OneProcessInspector::group(const std::string& name, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto all, groups(deadline));
  const auto found = std::ranges::find(all, name, &GroupState::group);
  if (found == all.end())
    return base::not_found(fmt::format("there is no consumer group '{}'", base::printable(name, 80)));
  return std::move(*found);
}

}  // namespace millrace::ports
