#include "adapters/kafka/topic_admin.h"

#include <algorithm>
#include <array>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/kafka/errors.h"
#include "adapters/kafka/settings.h"
#include "base/text.h"

namespace millrace::adapters::kafka {
namespace {

using base::Deadline;
using base::Result;
using ports::TopicPartition;

// At a topic that was never seen: a call that must not wait does wait for this.
constexpr std::chrono::milliseconds kFirstDescribeTime{5'000};
constexpr std::chrono::milliseconds kDiagnosisTime{1'000};

base::Error error_of(const Client& client, const std::string& doing, rd_kafka_resp_err_t code,
                     const char* text = nullptr) {
  return client.failed(doing, code, text).error();
}

}  // namespace

Result<ports::TopicInfo> TopicAdmin::ensure(const std::string& topic, std::int32_t partitions,
                                            Deadline deadline) {
  MILLRACE_TRY(ports::check_topic(topic, partitions));
  auto described = describe(topic, deadline);
  if (!described && described.error().kind == base::ErrorKind::kNotFound) {
    MILLRACE_TRY(make(topic, partitions, deadline));
    // The brokers learn of it one after the other.
    do {
      described = describe(topic, deadline);
      if (described && described->partitions > 0) break;
      std::this_thread::sleep_for(kTopicNewsPause);
    } while (!deadline.passed());
  }
  if (!described) return described;
  if (described->partitions != partitions)
    return base::conflict(
        fmt::format("topic {} has {} partitions, not {}: partitions cannot be taken away, and adding "
                    "some moves orders between them; use a topic of another name, or the number it has",
                    topic, described->partitions, partitions));
  return described;
}

Result<void> TopicAdmin::make(const std::string& topic, std::int32_t partitions, Deadline deadline) {
  std::array<char, 256> trouble{};
  const std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>> wanted(rd_kafka_NewTopic_new(
      topic.c_str(), partitions, options_.replication_factor, trouble.data(), trouble.size()));
  if (!wanted) return base::invalid(fmt::format("topic {}: {}", topic, trouble.data()));
  // What nobody has read yet must not vanish by age: we delete what all have passed. Times are the events',
  // which may be far from the brokers' clock.
  const std::pair<const char*, std::string> settings[] = {
      {"cleanup.policy", "delete"},
      {"retention.ms", "-1"},
      {"retention.bytes", "-1"},
      {"min.insync.replicas", std::to_string(options_.min_in_sync)},
      {"unclean.leader.election.enable", "false"},
      {"max.message.bytes", std::to_string(options_.record_bytes_max + kTopicSpareBytes)},
      {"message.timestamp.type", "CreateTime"},
      {"message.timestamp.before.max.ms", "9223372036854775807"},
      {"message.timestamp.after.max.ms", "9223372036854775807"},
  };
  for (const auto& [name, value] : settings) rd_kafka_NewTopic_set_config(wanted.get(), name, value.c_str());
  rd_kafka_NewTopic_t* list[] = {wanted.get()};
  const auto producer = producer_.get();
  const Client& client = producer->client();
  const std::string doing = "create topic " + topic;
  MILLRACE_TRY_ASSIGN(
      const Event event,
      client.ask(doing, RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline, [&](const auto* admin, auto* queue) {
        rd_kafka_CreateTopics(client.get(), list, 1, admin, queue);
      }));
  std::size_t count = 0;
  const auto* const results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  if (count == 1) {
    const auto code = rd_kafka_topic_result_error(results[0]);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
      return client.failed(doing, code, rd_kafka_topic_result_error_string(results[0]));
  }
  return {};
}

Result<ports::TopicInfo> TopicAdmin::grow(const std::string& topic, std::int32_t partitions,
                                          Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto info, describe(topic, deadline));
  if (info.partitions >= partitions) return info;
  MILLRACE_TRY(ports::check_topic(topic, partitions));
  std::array<char, 256> trouble{};
  const std::unique_ptr<rd_kafka_NewPartitions_t, Destroy<rd_kafka_NewPartitions_destroy>> wanted(
      rd_kafka_NewPartitions_new(topic.c_str(), static_cast<std::size_t>(partitions), trouble.data(),
                                 trouble.size()));
  if (!wanted) return base::invalid(fmt::format("topic {}: {}", topic, trouble.data()));
  rd_kafka_NewPartitions_t* list[] = {wanted.get()};
  const auto producer = producer_.get();
  const Client& client = producer->client();
  const std::string doing = fmt::format("give topic {} {} partitions", topic, partitions);
  MILLRACE_TRY_ASSIGN(
      const Event event,
      client.ask(doing, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, deadline, [&](const auto* admin, auto* queue) {
        rd_kafka_CreatePartitions(client.get(), list, 1, admin, queue);
      }));
  std::size_t count = 0;
  const auto* const results =
      rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event.get()), &count);
  const auto code = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_NO_ERROR;
  // Another one may have been quicker; then there are enough.
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_INVALID_PARTITIONS)
    return client.failed(doing, code, rd_kafka_topic_result_error_string(results[0]));
  do {
    MILLRACE_TRY_ASSIGN(info, describe(topic, deadline));
    if (info.partitions >= partitions) {
      spdlog::info("kafka: topic {} has {} partitions now", topic, info.partitions);
      return info;
    }
    std::this_thread::sleep_for(kTopicNewsPause);
  } while (!deadline.passed());
  return base::unavailable(doing + ": the brokers do not know of them yet");
}

Result<ports::TopicInfo> TopicAdmin::describe(const std::string& topic, Deadline deadline) {
  if (!ports::check_topic(topic, 1))
    return base::not_found(fmt::format("there is no topic '{}'", base::printable(topic, 80)));
  auto described = describe_all({topic}, deadline);
  // Brokers hear of a new topic one after the other: one that we have seen is not gone at the first no.
  for (const Deadline patience =
           Deadline::in(is_known(topic) ? kTopicNewsTime : std::chrono::milliseconds(0));
       !described && described.error().kind == base::ErrorKind::kNotFound && !patience.passed();) {
    std::this_thread::sleep_for(kTopicNewsPause);
    described = describe_all({topic}, deadline);
  }
  if (!described) {
    forget(topic);
    return std::unexpected(std::move(described).error());
  }
  if (described->empty()) return base::not_found(fmt::format("there is no topic '{}'", topic));
  return std::move(described->front().first);
}

Result<std::vector<TopicAdmin::Description>> TopicAdmin::describe_all(const std::vector<std::string>& names,
                                                                      Deadline deadline) {
  std::vector<const char*> texts;
  for (const std::string& name : names) texts.push_back(name.c_str());
  const std::unique_ptr<rd_kafka_TopicCollection_t, Destroy<rd_kafka_TopicCollection_destroy>> topics(
      rd_kafka_TopicCollection_of_topic_names(texts.data(), texts.size()));
  const auto asked = producer_.get();
  const Client& client = asked->client();
  const std::string doing = names.size() == 1 ? "describe topic " + names.front() : "describe topics";
  MILLRACE_TRY_ASSIGN(
      const Event event,
      client.ask(doing, RD_KAFKA_ADMIN_OP_ANY, deadline, [&](const auto* options, auto* queue) {
        rd_kafka_DescribeTopics(client.get(), topics.get(), options, queue);
      }));
  std::size_t count = 0;
  const auto* const found =
      rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event.get()), &count);
  std::vector<Description> described;
  for (std::size_t i = 0; i < count; ++i) {
    const rd_kafka_error_t* const error = rd_kafka_TopicDescription_error(found[i]);
    if (error != nullptr && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (names.size() > 1) continue;  // it went while we asked
      if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return base::not_found(fmt::format("there is no topic '{}'", base::printable(names.front(), 80)));
      return client.failed(doing, rd_kafka_error_code(error), rd_kafka_error_string(error));
    }
    std::size_t partitions = 0;
    rd_kafka_TopicDescription_partitions(found[i], &partitions);
    described.push_back({{rd_kafka_TopicDescription_name(found[i]), static_cast<std::int32_t>(partitions),
                          topic_id(found[i])},
                         rd_kafka_TopicDescription_is_internal(found[i]) != 0});
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [info, internal] : described) known_[info.topic] = info.partitions;
  return described;
}

Result<std::vector<ports::TopicInfo>> TopicAdmin::list(Deadline deadline) {
  const auto producer = producer_.get();
  std::vector<std::string> names;
  // Brokers learn of a new topic one after the other, and any of them may have been asked.
  for (const Deadline patience = Deadline::in(kTopicNewsTime);;
       std::this_thread::sleep_for(kTopicNewsPause)) {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(producer->client(), deadline));
    names.clear();
    for (int i = 0; i < metadata->topic_cnt; ++i) names.emplace_back(metadata->topics[i].topic);
    std::erase_if(names, [](const std::string& name) { return name.starts_with("__"); });
    if (has_all_known(names) || patience.passed() || deadline.passed()) break;
  }
  if (names.empty()) return std::vector<ports::TopicInfo>{};
  MILLRACE_TRY_ASSIGN(auto described, describe_all(names, deadline));
  std::vector<ports::TopicInfo> topics;
  for (auto& [info, internal] : described)
    if (!internal) topics.push_back(std::move(info));
  std::ranges::sort(topics, {}, &ports::TopicInfo::topic);
  return topics;
}

Result<void> TopicAdmin::delete_records(const TopicPartition& partition, std::int64_t offset,
                                        Deadline deadline) {
  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition)->offset =
      offset;
  const std::unique_ptr<rd_kafka_DeleteRecords_t, Destroy<rd_kafka_DeleteRecords_destroy>> wanted(
      rd_kafka_DeleteRecords_new(list.get()));
  const auto producer = producer_.get();
  const Client& client = producer->client();
  const std::string doing = fmt::format("delete records of {}/{}", partition.topic, partition.partition);
  rd_kafka_DeleteRecords_t* deletions[] = {wanted.get()};
  MILLRACE_TRY_ASSIGN(
      const Event event,
      client.ask(doing, RD_KAFKA_ADMIN_OP_DELETERECORDS, deadline, [&](const auto* admin, auto* queue) {
        rd_kafka_DeleteRecords(client.get(), deletions, 1, admin, queue);
      }));
  const auto* const deleted =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event.get()));
  if (deleted->cnt == 1 && deleted->elems[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return client.failed(doing, deleted->elems[0].err);
  return {};
}

Result<std::size_t> TopicAdmin::ask_setting(const std::string& topic, std::string_view name,
                                            Deadline deadline) {
  const std::unique_ptr<rd_kafka_ConfigResource_t, Destroy<rd_kafka_ConfigResource_destroy>> resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  rd_kafka_ConfigResource_t* asked_for[] = {resource.get()};
  const auto asked = producer_.get();
  const Client& client = asked->client();
  const std::string doing = "settings of topic " + topic;
  MILLRACE_TRY_ASSIGN(
      const Event event,
      client.ask(doing, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, deadline, [&](const auto* admin, auto* queue) {
        rd_kafka_DescribeConfigs(client.get(), asked_for, 1, admin, queue);
      }));
  std::size_t count = 0;
  const auto* const* const found =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  if (count != 1) return base::unavailable(doing + ": no answer");
  if (const auto code = rd_kafka_ConfigResource_error(found[0]); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return client.failed(doing, code, rd_kafka_ConfigResource_error_string(found[0]));
  const auto* const* const entries = rd_kafka_ConfigResource_configs(found[0], &count);
  for (std::size_t i = 0; i < count; ++i)
    if (rd_kafka_ConfigEntry_name(entries[i]) == name)
      if (const auto bytes = base::parse_int<std::size_t>(rd_kafka_ConfigEntry_value(entries[i])))
        return *bytes;
  return base::unavailable(fmt::format("{}: {} is not among them", doing, name));
}

bool TopicAdmin::is_known(const std::string& topic) {
  const std::lock_guard lock(mutex_);
  return known_.contains(topic);
}
/// Whether every topic that we have seen is among them.
bool TopicAdmin::has_all_known(const std::vector<std::string>& names) {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(known_, [&](const auto& seen) {
    return seen.first.starts_with("__") || std::ranges::find(names, seen.first) != names.end();
  });
}
void TopicAdmin::forget(const std::string& topic) {
  const std::lock_guard lock(mutex_);
  known_.erase(topic);
}

Result<void> TopicAdmin::check_partition(const TopicPartition& partition, Deadline deadline) {
  for (int look = 0; look < 2; ++look) {
    {
      const std::lock_guard lock(mutex_);
      const auto known = known_.find(partition.topic);
      if (known != known_.end() && partition.partition >= 0 && partition.partition < known->second) return {};
    }
    if (look == 0) {
      const Deadline patient =
          deadline.left() > kFirstDescribeTime ? deadline : Deadline::in(kFirstDescribeTime);
      MILLRACE_TRY(describe(partition.topic, patient));
    }
  }
  return base::not_found(fmt::format("topic {} has no partition {}", partition.topic, partition.partition));
}

base::Error TopicAdmin::not_acknowledged(const Client& client, const std::string& doing,
                                         const TopicPartition& partition, rd_kafka_resp_err_t code) {
  const Topic topic(rd_kafka_topic_new(client.get(), partition.topic.c_str(), nullptr));
  const rd_kafka_metadata_t* answer = nullptr;
  if (!topic || rd_kafka_metadata(client.get(), 0, topic.get(), &answer,
                                  static_cast<int>(kDiagnosisTime.count())) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return error_of(client, doing, code);
  const std::unique_ptr<const rd_kafka_metadata_t, Destroy<rd_kafka_metadata_destroy>> metadata(answer);
  if (metadata->topic_cnt != 1) return error_of(client, doing, code);
  const rd_kafka_metadata_topic& found = metadata->topics[0];
  if (classify(found.err).kind == base::ErrorKind::kNotFound) return error_of(client, doing, found.err);
  for (int i = 0; i < found.partition_cnt; ++i) {
    const rd_kafka_metadata_partition& state = found.partitions[i];
    if (state.id != partition.partition) continue;
    if (state.leader < 0)
      return error_of(client, doing, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, "the partition has no leader");
    const auto in_sync = static_cast<std::size_t>(state.isr_cnt);
    // Brokers never ask for more than there are replicas.
    const auto replicas = static_cast<std::size_t>(state.replica_cnt);
    const auto asked_for = ask_setting(partition.topic, "min.insync.replicas", Deadline::in(kDiagnosisTime));
    const std::size_t needed = std::min(asked_for.value_or(replicas), replicas);
    if (in_sync < needed)
      return error_of(client, doing, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                      fmt::format("{} of {} replicas are in sync, and the topic's min.insync.replicas asks "
                                  "for {}",
                                  in_sync, replicas, needed)
                          .c_str());
  }
  return error_of(client, doing, code);
}

}  // namespace millrace::adapters::kafka
