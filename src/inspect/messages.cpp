#include "inspect/messages.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::inspect {
namespace {

// Records may be megabytes large: few are asked for until their size is known.
constexpr std::size_t kFirstChunk = 8;
constexpr std::size_t kChunkBytes = std::size_t{1} << 20u;

/// The end of one partition.
struct Tail {
  std::vector<ports::Record> records;  // oldest first
  bool is_cut = false;                 // there are older ones that were too much to take
};

base::Result<Tail> read_tail(ports::EventLog& log, const ports::TopicPartition& partition, std::size_t count,
                             std::size_t bytes_max, base::Deadline deadline) {
  Tail tail;
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log.offsets(partition, deadline));
  std::int64_t position = range.end;
  std::size_t bytes = 0;
  std::size_t chunk = kFirstChunk;
  while (tail.records.size() < count && position > range.begin) {
    const std::size_t wanted = std::min(chunk, count - tail.records.size());
    auto some = log.read_before(partition, position, wanted, deadline);
    // Old records were removed while we went back: there is nothing before this one any more.
    if (!some && some.error().kind == base::ErrorKind::kInvalid) break;
    if (!some) return std::unexpected(std::move(some).error());
    if (some->empty()) break;
    position = some->front().offset;
    std::size_t chunk_bytes = 0;
    for (const ports::Record& record : *some) chunk_bytes += ports::bytes_of(record);
    bytes += chunk_bytes;
    tail.records.insert(tail.records.begin(), std::make_move_iterator(some->begin()),
                        std::make_move_iterator(some->end()));
    if (bytes > bytes_max) {
      tail.is_cut = position > range.begin;
      break;
    }
    if (chunk_bytes < kChunkBytes) chunk *= 2;
  }
  return tail;
}

}  // namespace

base::Result<std::vector<Message>> last_messages(ports::EventLog& log, const std::string& topic,
                                                 std::optional<std::int32_t> partition, std::size_t count,
                                                 base::Deadline deadline) {
  if (count < 1 || count > kMessagesMax)
    return base::invalid(fmt::format("1 to {} messages can be shown, not {}", kMessagesMax, count));
  MILLRACE_TRY_ASSIGN(const ports::TopicInfo info, log.describe_topic(topic, deadline));
  if (partition && (*partition < 0 || *partition >= info.partitions))
    return base::not_found(fmt::format("topic {} has the partitions 0 to {}, and none of number {}", topic,
                                       info.partitions - 1, *partition));
  const std::int32_t first = partition.value_or(0);
  const std::int32_t end = partition ? first + 1 : info.partitions;
  const std::size_t share = kMessageBytesMax / static_cast<std::size_t>(end - first);
  std::vector<Tail> tails;
  for (std::int32_t number = first; number < end; ++number) {
    MILLRACE_TRY_ASSIGN(tails.emplace_back(), read_tail(log, {topic, number}, count, share, deadline));
  }
  // From the latest backwards, so that every partition keeps the order of its offsets.
  std::vector<Message> messages;
  while (messages.size() < count) {
    Tail* latest = nullptr;
    for (Tail& tail : tails) {
      if (tail.records.empty()) continue;
      if (latest == nullptr || tail.records.back().time > latest->records.back().time) latest = &tail;
    }
    if (latest == nullptr) break;
    messages.push_back(
        {first + static_cast<std::int32_t>(latest - tails.data()), std::move(latest->records.back())});
    latest->records.pop_back();
    // What comes next may be a record that was not taken.
    if (latest->records.empty() && latest->is_cut) break;
  }
  std::ranges::reverse(messages);
  return messages;
}

}  // namespace millrace::inspect
