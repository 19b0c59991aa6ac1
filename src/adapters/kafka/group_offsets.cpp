#include "adapters/kafka/group_offsets.h"

#include <algorithm>
#include <string_view>
#include <thread>

namespace millrace::adapters::kafka {
namespace {

using base::Deadline;
using base::Result;

constexpr std::chrono::milliseconds kPatience{2'000};  // of the first question
constexpr std::chrono::milliseconds kPause{200};
// Each has threads of its own, and most callers ask about one or two groups.
constexpr std::size_t kClientsMax = 8;

Result<std::map<ports::TopicPartition, ports::CommittedOffset>> ask(
    const Client& client, const std::string& group, std::span<const ports::TopicPartition> partitions,
    Deadline deadline) {
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const ports::TopicPartition& partition : partitions)
    rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
  const auto code = rd_kafka_committed(client.get(), list.get(), std::max(timeout_ms(deadline), 1));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    client.hear();
    return client.failed("offsets of group " + group, code);
  }
  std::map<ports::TopicPartition, ports::CommittedOffset> found;
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& entry = list->elems[i];
    // A topic that is gone has no commits; about any other error nobody may think that there is none.
    if (entry.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) continue;
    if (entry.err != RD_KAFKA_RESP_ERR_NO_ERROR) return client.failed("offsets of group " + group, entry.err);
    if (entry.offset < 0) continue;
    found[{entry.topic, entry.partition}] = {
        entry.offset, std::string(static_cast<const char*>(entry.metadata), entry.metadata_size)};
  }
  return found;
}

}  // namespace

Result<std::shared_ptr<Client>> GroupOffsets::client_of(const std::string& group) {
  const std::lock_guard lock(mutex_);
  if (const auto known = std::ranges::find(clients_, group, &Clients::value_type::first);
      known != clients_.end()) {
    clients_.splice(clients_.begin(), clients_, known);
    return clients_.front().second;
  }
  auto settings = settings_;
  settings["group.id"] = group;
  MILLRACE_TRY_ASSIGN(std::shared_ptr<Client> made, Client::make(RD_KAFKA_CONSUMER, settings, {}));
  clients_.emplace_front(group, made);
  if (clients_.size() > kClientsMax) clients_.pop_back();
  return made;
}

void GroupOffsets::drop(const std::string& group, const std::shared_ptr<Client>& client) {
  const std::lock_guard lock(mutex_);
  std::erase(clients_, Clients::value_type{group, client});
}

Result<std::map<ports::TopicPartition, ports::CommittedOffset>> GroupOffsets::committed(
    const std::string& group, std::span<const ports::TopicPartition> partitions, Deadline deadline) {
  if (partitions.empty()) return std::map<ports::TopicPartition, ports::CommittedOffset>{};
  for (auto patience = kPatience;; patience *= 2) {
    MILLRACE_TRY_ASSIGN(const auto client, client_of(group));
    // The library keeps the coordinator that it found once, also when that one has died or says that it is
    // none any more: a question gets only a part of the time, the next one a client that knows nothing yet.
    auto answer = ask(*client, group, partitions, Deadline::in(std::min(patience, deadline.left())));
    if (answer || answer.error().kind != base::ErrorKind::kUnavailable) return answer;
    drop(group, client);
    if (deadline.left() <= kPause) return answer;
    std::this_thread::sleep_for(kPause);
  }
}

std::vector<ports::TopicPartition> partitions_of(const rd_kafka_metadata_t& metadata) {
  std::vector<ports::TopicPartition> partitions;
  for (int t = 0; t < metadata.topic_cnt; ++t) {
    const rd_kafka_metadata_topic_t& topic = metadata.topics[t];
    if (std::string_view(topic.topic).starts_with("__")) continue;
    for (int p = 0; p < topic.partition_cnt; ++p) partitions.push_back({topic.topic, topic.partitions[p].id});
  }
  return partitions;
}

}  // namespace millrace::adapters::kafka
