// The keys and small values of the database of the event log. All numbers in them are big-endian, so that
// keys sort as numbers do.
//
//   !                                  → kFormat
//   t topic name                       → topic number, partitions, topic id
//   p topic number, partition          → begin, end
//   g group, topic                     → generation
//   c group, topic, partition          → offset, metadata
//   r topic number, partition, offset  → record (record_codec.h)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <rocksdb/slice.h>

#include "ports/event_log.h"

namespace millrace::adapters::rocksdb {

inline constexpr std::string_view kFormatKey = "!";
inline constexpr std::string_view kFormat = "millrace event log 1";
// The first byte of a key.
inline constexpr char kTopicKey = 't';
inline constexpr char kRangeKey = 'p';
inline constexpr char kGenerationKey = 'g';
inline constexpr char kCommitKey = 'c';
inline constexpr char kRecordKey = 'r';

using GroupKey = std::pair<std::string, std::string>;  // group, topic

[[nodiscard]] inline ::rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
[[nodiscard]] inline std::string_view view(const ::rocksdb::Slice& text) {
  return {text.data(), text.size()};
}

[[nodiscard]] std::string topic_key(std::string_view topic);
[[nodiscard]] std::string range_key(std::uint32_t topic, std::int32_t partition);
[[nodiscard]] std::string record_key(std::uint32_t topic, std::int32_t partition, std::int64_t offset);
/// Behind all records of the partition.
[[nodiscard]] std::string records_end_key(std::uint32_t topic, std::int32_t partition);
[[nodiscard]] std::string generation_key(const GroupKey& group);
[[nodiscard]] std::string commit_key(const std::string& group, const ports::TopicPartition& partition);

[[nodiscard]] std::string topic_value(std::uint32_t number, const ports::TopicInfo& info);
[[nodiscard]] std::string range_value(ports::OffsetRange range);
[[nodiscard]] std::string generation_value(std::int64_t generation);
[[nodiscard]] std::string commit_value(const ports::CommittedOffset& committed);

// Read back: the keys without their first byte; nothing if it is not such a key or value.
struct StoredTopic {
  std::uint32_t number = 0;
  ports::TopicInfo info;
};
[[nodiscard]] std::optional<StoredTopic> read_topic(std::string_view key, std::string_view value);
struct StoredRange {
  std::uint32_t topic = 0;
  std::uint32_t partition = 0;
  ports::OffsetRange range;
};
[[nodiscard]] std::optional<StoredRange> read_range(std::string_view key, std::string_view value);
[[nodiscard]] std::optional<std::pair<GroupKey, std::int64_t>> read_generation(std::string_view key,
                                                                               std::string_view value);
[[nodiscard]] std::optional<ports::GroupOffset> read_commit(std::string_view key, std::string_view value);

}  // namespace millrace::adapters::rocksdb
