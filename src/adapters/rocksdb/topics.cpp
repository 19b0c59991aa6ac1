#include "adapters/rocksdb/topics.h"

#include <algorithm>

#include <fmt/format.h>

#include "adapters/rocksdb/keys.h"
#include "base/text.h"
#include "base/uuid.h"

namespace millrace::adapters::rocksdb {
namespace {

using base::Result;

std::unexpected<base::Error> no_topic(const std::string& name) {
  return base::not_found(fmt::format("there is no topic '{}'", base::printable(name, 80)));
}

}  // namespace

Result<void> Topics::load() {
  MILLRACE_TRY(
      database_.for_each(kTopicKey, [this](std::string_view key, std::string_view value) -> Result<void> {
        auto topic = read_topic(key, value);
        if (!topic) return damaged("a topic's description cannot be read");
        add(topic->number, std::move(topic->info));
        next_number_ = std::max(next_number_, topic->number + 1);
        return {};
      }));
  MILLRACE_TRY(database_.for_each(
      kRangeKey, [this](std::string_view key, std::string_view value) { return restore_range(key, value); }));
  for (const auto& [name, topic] : topics_)
    for (const auto& partition : topic.partitions) MILLRACE_TRY(partition->check_records());
  return {};
}

Result<void> Topics::restore_range(std::string_view key, std::string_view value) {
  const auto stored = read_range(key, value);
  if (!stored) return damaged("a partition's range cannot be read");
  for (const auto& [name, topic] : topics_) {
    if (topic.number != stored->topic || stored->partition >= topic.partitions.size()) continue;
    topic.partitions[stored->partition]->restore(stored->range);
    return {};
  }
  return damaged("a partition's topic is missing");
}

void Topics::add_repairs(::rocksdb::WriteBatch& batch) const {
  const std::shared_lock lock(mutex_);
  for (const auto& [name, topic] : topics_)
    for (const auto& partition : topic.partitions) partition->add_repair(batch);
}

void Topics::add(std::uint32_t number, ports::TopicInfo info) {
  Topic topic{number, std::move(info), {}};
  for (std::int32_t i = 0; i < topic.info.partitions; ++i)
    topic.partitions.push_back(
        std::make_unique<Partition>(database_, number, i, fmt::format("{}/{}", topic.info.topic, i)));
  const std::unique_lock lock(mutex_);
  topics_[topic.info.topic] = std::move(topic);
}

Result<ports::TopicInfo> Topics::ensure(const std::string& name, std::int32_t partitions) {
  MILLRACE_TRY(ports::check_topic(name, partitions));
  const std::lock_guard making(making_mutex_);
  if (const auto info = describe(name)) {
    if (info->partitions == partitions) return info;
    return base::conflict(
        fmt::format("topic {} has {} partitions, not {}", name, info->partitions, partitions));
  }
  // Random bits are all that a topic's id needs; no clock is asked.
  const ports::TopicInfo info{name, partitions, base::uuid_v7({})};
  ::rocksdb::WriteBatch batch;
  batch.Put(topic_key(name), topic_value(next_number_, info));
  MILLRACE_TRY(database_.write(batch, fmt::format("make topic {}", name),
                               [&](::rocksdb::DB&) { add(next_number_, info); }));
  ++next_number_;
  return info;
}

Result<ports::TopicInfo> Topics::describe(const std::string& name) const {
  const std::shared_lock lock(mutex_);
  const auto topic = topics_.find(name);
  if (topic == topics_.end()) return no_topic(name);
  return topic->second.info;
}

std::vector<ports::TopicInfo> Topics::list() const {
  const std::shared_lock lock(mutex_);
  std::vector<ports::TopicInfo> topics;
  for (const auto& [name, topic] : topics_) topics.push_back(topic.info);
  return topics;
}

Result<Partition*> Topics::find(const ports::TopicPartition& where) const {
  const std::shared_lock lock(mutex_);
  const auto topic = topics_.find(where.topic);
  if (topic == topics_.end()) return no_topic(where.topic);
  if (where.partition < 0 || where.partition >= topic->second.info.partitions)
    return base::not_found(fmt::format("topic {} has no partition {}", where.topic, where.partition));
  return topic->second.partitions[static_cast<std::size_t>(where.partition)].get();
}

}  // namespace millrace::adapters::rocksdb
