#include "ports/event_log.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <zlib.h>

#include "base/assert.h"
#include "base/text.h"

namespace millrace::ports {
namespace {

constexpr std::size_t kTopicLengthMax = 249;
constexpr std::size_t kAppendBytesMax = 4u << 20u;  // of one call, so that it stays within its deadline

class DoneAppend final : public PendingAppend {
 public:
  base::Result<bool> wait(base::Deadline) override { return true; }
};

template <class AnyRecord>
std::size_t payload_bytes_of(const AnyRecord& record) {
  std::size_t bytes = record.key.size() + record.value.size();
  for (const Header& header : record.headers) bytes += header.name.size() + header.value.size();
  return bytes;
}

}  // namespace

std::optional<std::string_view> Record::header(std::string_view name) const {
  for (const Header& entry : headers)
    if (entry.name == name) return entry.value;
  return std::nullopt;
}

base::Result<void> GroupMember::commit_all(std::span<const AssignmentCommit> commits,
                                           base::Deadline deadline) {
  for (const auto& [assignment, offset] : commits) MILLRACE_TRY(commit(assignment, offset, deadline));
  return {};
}

base::Result<std::unique_ptr<PendingAppend>> EventLog::start_append(std::span<const PartitionRecords> batches,
                                                                    base::Deadline deadline) {
  for (const auto& [partition, records] : batches) {
    std::size_t first = 0;
    while (first < records.size()) {
      std::size_t last = first;
      std::size_t bytes = 0;
      while (last < records.size() && (last == first || bytes + bytes_of(records[last]) <= kAppendBytesMax))
        bytes += bytes_of(records[last++]);
      MILLRACE_TRY(append(partition, std::span(records).subspan(first, last - first), deadline));
      first = last;
    }
  }
  return std::make_unique<DoneAppend>();
}

base::Result<std::vector<PartitionRead>> read_shared(EventLog& log, std::span<const LogPosition> positions,
                                                     ReadLimit limit, std::size_t turn) {
  std::vector<PartitionRead> reads;
  std::vector<LogPosition> asked;  // may have more; in the order of their turns
  asked.reserve(positions.size());
  for (std::size_t i = 0; i < positions.size(); ++i)
    asked.push_back(positions[(turn + i) % positions.size()]);
  while (!asked.empty()) {
    std::vector<LogPosition> more;
    for (std::size_t i = 0; i < asked.size() && limit.records_max > 0 && limit.bytes_max > 0; ++i) {
      const std::size_t sharers = asked.size() - i;
      const ReadLimit share{std::max<std::size_t>(limit.records_max / sharers, 1),
                            std::max<std::size_t>(limit.bytes_max / sharers, 1)};
      const auto& [partition, offset] = asked[i];
      MILLRACE_TRY_ASSIGN(
          auto records, log.read(partition, offset, share, base::Deadline::in(std::chrono::milliseconds(0))));
      if (records.empty()) continue;
      limit.records_max -= records.size();
      for (const Record& record : records) limit.bytes_max -= std::min(limit.bytes_max, bytes_of(record));
      more.push_back({partition, records.back().offset + 1});
      const auto known = std::ranges::find(reads, partition, &PartitionRead::partition);
      if (known == reads.end()) {
        reads.push_back({partition, std::move(records)});
      } else {
        std::ranges::move(records, std::back_inserter(known->records));
      }
    }
    asked = std::move(more);
    if (limit.records_max == 0 || limit.bytes_max == 0) break;
  }
  return reads;
}

base::Result<void> check_topic(std::string_view name, std::int32_t partitions) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (name.empty() || name.size() > kTopicLengthMax || name == "." || name == ".." ||
      !std::ranges::all_of(name, allowed))
    return base::invalid(fmt::format("'{}' is not a topic name; use 1 to {} letters, digits, '.', '_' or '-'",
                                     base::printable(name, 80), kTopicLengthMax));
  if (partitions < 1 || partitions > kTopicPartitionsMax)
    return base::invalid(fmt::format("topic {} cannot have {} partitions; use 1 to {}", name, partitions,
                                     kTopicPartitionsMax));
  return {};
}

base::Result<TopicInfo> EventLog::grow_topic(const std::string& topic, std::int32_t partitions,
                                             base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto info, describe_topic(topic, deadline));
  if (info.partitions < partitions)
    return base::conflict(fmt::format("topic {} has {} partitions, {} are needed, and this log adds none",
                                      topic, info.partitions, partitions));
  return info;
}

base::Result<TopicInfo> ensure_partitions(EventLog& log, const std::string& topic,
                                          std::int32_t partitions_min, base::Deadline deadline) {
  auto info = log.describe_topic(topic, deadline);
  if (!info && info.error().kind == base::ErrorKind::kNotFound)
    return log.ensure_topic(topic, partitions_min, deadline);
  if (info && info->partitions < partitions_min) return log.grow_topic(topic, partitions_min, deadline);
  return info;
}

std::size_t bytes_of(const NewRecord& record) {
  return payload_bytes_of(record);
}
std::size_t bytes_of(const Record& record) {
  return payload_bytes_of(record);
}

std::int32_t partition_of(std::string_view key, std::int32_t partitions) {
  MILLRACE_ASSERT(partitions > 0);
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(key.data()), key.size());
  return static_cast<std::int32_t>(crc % static_cast<std::uint32_t>(partitions));
}

}  // namespace millrace::ports
