#include "adapters/kafka/member.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace millrace::adapters::kafka {
namespace {

std::int64_t generation_of(rd_kafka_t* handle) {
  const std::unique_ptr<rd_kafka_consumer_group_metadata_t, Destroy<rd_kafka_consumer_group_metadata_destroy>>
      metadata(rd_kafka_consumer_group_metadata(handle));
  return metadata ? rd_kafka_consumer_group_metadata_generation_id(metadata.get()) : -1;
}

}  // namespace

base::Result<std::unique_ptr<Member>> Member::join(const Client::Settings& settings,
                                                   const std::string& topic) {
  std::unique_ptr<Member> member(new Member(topic));
  MILLRACE_TRY_ASSIGN(member->client_,
                      Client::make(RD_KAFKA_CONSUMER, settings,
                                   {.rebalance = &Member::on_rebalance, .opaque = member.get()}));
  rd_kafka_poll_set_consumer(member->client_->get());
  const PartitionList topics(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(topics.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  if (const auto code = rd_kafka_subscribe(member->client_->get(), topics.get());
      code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return member->client_->failed("join the group", code);
  return member;
}

Member::~Member() {
  // Leaves the group, so that others need not wait until the session is over.
  if (client_) rd_kafka_consumer_close(client_->get());
}

void Member::on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* list,
                          void* opaque) {
  auto& member = *static_cast<Member*>(opaque);
  VendorError trouble;
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    const std::int64_t generation = generation_of(handle);
    for (int i = 0; i < list->cnt; ++i) {
      list->elems[i].offset = 0;  // nothing is fetched here: else the committed offset would be looked up
      member.owned_[list->elems[i].partition] = generation;
    }
    trouble.reset(rd_kafka_incremental_assign(handle, list));
    rd_kafka_pause_partitions(handle, list);
  } else {
    for (int i = 0; i < list->cnt; ++i) member.owned_.erase(list->elems[i].partition);
    trouble.reset(rd_kafka_incremental_unassign(handle, list));
  }
  if (trouble)
    spdlog::warn("kafka: rebalancing of {}: {}", member.topic_, rd_kafka_error_string(trouble.get()));
}

base::Result<std::vector<ports::Assignment>> Member::assignments(base::Deadline /*deadline*/) {
  // Serves what waits for us: rebalances, and errors that the client goes on after.
  for (;;) {
    rd_kafka_message_t* const message = rd_kafka_consumer_poll(client_->get(), 0);
    if (message == nullptr) break;
    const rd_kafka_resp_err_t code = message->err;
    const std::string text = code != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_message_errstr(message) : "";
    rd_kafka_message_destroy(message);
    if (code == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) owned_.clear();
    if (code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
        code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
      return client_->failed("stay in the group", code, text.c_str());
  }
  std::vector<ports::Assignment> mine;
  mine.reserve(owned_.size());
  for (const auto& [partition, generation] : owned_) mine.push_back({{topic_, partition}, generation});
  return mine;
}

base::Result<void> Member::commit(const ports::Assignment& assignment, const ports::CommittedOffset& offset,
                                  base::Deadline deadline) {
  const ports::AssignmentCommit commit{assignment, offset};
  return commit_all({&commit, 1}, deadline);
}

base::Result<void> Member::check(const ports::AssignmentCommit& commit) const {
  const auto& [assignment, offset] = commit;
  if (offset.metadata.size() > ports::kCommitMetadataBytesMax)
    return base::invalid(fmt::format("the metadata of a commit can hold {} bytes, not {}",
                                     ports::kCommitMetadataBytesMax, offset.metadata.size()));
  const auto owned = owned_.find(assignment.partition.partition);
  if (assignment.partition.topic != topic_ || owned == owned_.end() || owned->second != assignment.generation)
    return base::conflict(fmt::format("partition {} of {} belongs to another member of the group now",
                                      assignment.partition.partition, assignment.partition.topic));
  return {};
}

base::Result<void> Member::commit_all(std::span<const ports::AssignmentCommit> commits,
                                      base::Deadline deadline) {
  if (commits.empty()) return {};
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(commits.size())));
  for (const ports::AssignmentCommit& commit : commits) {
    MILLRACE_TRY(check(commit));
    const auto& [assignment, offset] = commit;
    rd_kafka_topic_partition_t* const entry =
        rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), assignment.partition.partition);
    entry->offset = offset.offset;
    if (offset.metadata.empty()) continue;
    entry->metadata = std::malloc(offset.metadata.size());  // freed with the list, by free()
    if (entry->metadata == nullptr) throw std::bad_alloc();
    std::memcpy(entry->metadata, offset.metadata.data(), offset.metadata.size());
    entry->metadata_size = offset.metadata.size();
  }
  const std::string doing =
      commits.size() == 1 ? fmt::format("commit offset {} of {}/{}", commits.front().offset.offset, topic_,
                                        commits.front().assignment.partition.partition)
                          : fmt::format("commit offsets of {} partitions of {}", commits.size(), topic_);
  const Queue queue(rd_kafka_queue_new(client_->get()));
  if (const auto code = rd_kafka_commit_queue(client_->get(), list.get(), queue.get(), nullptr, nullptr);
      code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return client_->failed(doing, code);
  const Event event(rd_kafka_queue_poll(queue.get(), timeout_ms(deadline)));
  if (!event) return client_->failed(doing, RD_KAFKA_RESP_ERR__TIMED_OUT);
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return client_->failed(doing, code);
  const auto* const committed = rd_kafka_event_topic_partition_list(event.get());
  for (int i = 0; committed != nullptr && i < committed->cnt; ++i)
    if (committed->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return client_->failed(doing, committed->elems[i].err);
  return {};
}

}  // namespace millrace::adapters::kafka
