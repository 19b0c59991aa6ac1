#include "adapters/rocksdb/keys.h"

#include "adapters/rocksdb/record_codec.h"

namespace millrace::adapters::rocksdb {
namespace {

std::string partition_key(char kind, std::uint32_t topic, std::int32_t partition) {
  std::string key(1, kind);
  append_big_endian_32(key, topic);
  append_big_endian_32(key, static_cast<std::uint32_t>(partition));
  return key;
}

std::string group_key(char kind, const GroupKey& group) {
  std::string key(1, kind);
  append_text(key, group.first);
  append_text(key, group.second);
  return key;
}

}  // namespace

std::string topic_key(std::string_view topic) {
  return std::string(1, kTopicKey).append(topic);
}

std::string range_key(std::uint32_t topic, std::int32_t partition) {
  return partition_key(kRangeKey, topic, partition);
}

std::string record_key(std::uint32_t topic, std::int32_t partition, std::int64_t offset) {
  std::string key = partition_key(kRecordKey, topic, partition);
  append_big_endian_64(key, static_cast<std::uint64_t>(offset));
  return key;
}

std::string records_end_key(std::uint32_t topic, std::int32_t partition) {
  return partition_key(kRecordKey, topic, partition + 1);
}

std::string generation_key(const GroupKey& group) {
  return group_key(kGenerationKey, group);
}

std::string commit_key(const std::string& group, const ports::TopicPartition& partition) {
  std::string key = group_key(kCommitKey, {group, partition.topic});
  append_big_endian_32(key, static_cast<std::uint32_t>(partition.partition));
  return key;
}

std::string topic_value(std::uint32_t number, const ports::TopicInfo& info) {
  std::string value;
  append_big_endian_32(value, number);
  append_big_endian_32(value, static_cast<std::uint32_t>(info.partitions));
  return value + info.incarnation;
}

std::string range_value(ports::OffsetRange range) {
  std::string value;
  append_big_endian_64(value, static_cast<std::uint64_t>(range.begin));
  append_big_endian_64(value, static_cast<std::uint64_t>(range.end));
  return value;
}

std::string generation_value(std::int64_t generation) {
  std::string value;
  append_big_endian_64(value, static_cast<std::uint64_t>(generation));
  return value;
}

std::string commit_value(const ports::CommittedOffset& committed) {
  std::string value;
  append_big_endian_64(value, static_cast<std::uint64_t>(committed.offset));
  return value + committed.metadata;
}

std::optional<StoredTopic> read_topic(std::string_view key, std::string_view value) {
  const auto number = take_big_endian_32(value);
  const auto partitions = take_big_endian_32(value);
  if (!number || !partitions || *partitions > ports::kTopicPartitionsMax || value.empty())
    return std::nullopt;
  return StoredTopic{*number, {std::string(key), static_cast<std::int32_t>(*partitions), std::string(value)}};
}

std::optional<StoredRange> read_range(std::string_view key, std::string_view value) {
  const auto topic = take_big_endian_32(key);
  const auto partition = take_big_endian_32(key);
  const auto begin = take_big_endian_64(value);
  const auto end = take_big_endian_64(value);
  if (!topic || !partition || !begin || !end || *begin > *end) return std::nullopt;
  return StoredRange{
      *topic, *partition, {static_cast<std::int64_t>(*begin), static_cast<std::int64_t>(*end)}};
}

std::optional<std::pair<GroupKey, std::int64_t>> read_generation(std::string_view key,
                                                                 std::string_view value) {
  const auto group = take_text(key);
  const auto topic = take_text(key);
  const auto generation = take_big_endian_64(value);
  if (!group || !topic || !generation) return std::nullopt;
  return std::pair(GroupKey(*group, *topic), static_cast<std::int64_t>(*generation));
}

std::optional<ports::GroupOffset> read_commit(std::string_view key, std::string_view value) {
  const auto group = take_text(key);
  const auto topic = take_text(key);
  const auto partition = take_big_endian_32(key);
  const auto offset = take_big_endian_64(value);
  if (!group || !topic || !partition || !offset) return std::nullopt;
  return ports::GroupOffset{std::string(*group),
                            {std::string(*topic), static_cast<std::int32_t>(*partition)},
                            {static_cast<std::int64_t>(*offset), std::string(value)}};
}

}  // namespace millrace::adapters::rocksdb
