#include "dead_letters/dead_letter_index.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/text.h"

namespace millrace::dead_letters {
namespace {

constexpr std::chrono::milliseconds kReadTimeout{3'000};
constexpr ports::ReadLimit kPiece{.records_max = 500, .bytes_max = std::size_t{4} << 20};

}  // namespace

DeadLetterIndex::DeadLetterIndex(ports::EventLog& log, ports::DeadLetterStore& book, Options options,
                                 std::size_t letters_max)
    : log_(log), book_(book), options_(std::move(options)), letters_max_(letters_max) {
  for (const std::string& name : {options_.event_topic, options_.row_topic})
    topics_.emplace_back().name = name;
}

base::Result<DeadLetterIndex::Lock> DeadLetterIndex::lock(base::Deadline deadline) {
  Lock held(mutex_, deadline.moment());
  if (!held) return base::unavailable("the dead letters are being read for another request: try again");
  return held;
}

DeadLetterIndex::Topic* DeadLetterIndex::topic_of(std::string_view source) {
  const auto found = std::ranges::find(topics_, source, &Topic::name);
  return found == topics_.end() ? nullptr : &*found;
}

DeadLetterIndex::Entry* DeadLetterIndex::entry_of(Topic& topic, const ports::DeadLetterPosition& place) {
  const auto partition = topic.partitions.find(place.partition);
  if (partition == topic.partitions.end()) return nullptr;
  const auto& known = partition->second.topic_ids;
  const auto topic_id = std::ranges::find(known, place.topic_id);
  if (topic_id == known.end()) return nullptr;
  const auto key = std::pair(static_cast<std::uint16_t>(topic_id - known.begin()), place.offset);
  auto& entries = partition->second.entries;
  const auto key_of = [](const Entry& entry) { return std::pair(entry.topic_number, entry.offset); };
  const auto found = std::ranges::lower_bound(entries, key, {}, key_of);
  return found == entries.end() || key_of(*found) != key ? nullptr : &*found;
}

IndexedLetter DeadLetterIndex::shown(const Topic& topic, std::int32_t partition, const Entry& entry) const {
  return {.place = {.topic = topic.name,
                    .topic_id = topic.partitions.at(partition).topic_ids[entry.topic_number],
                    .partition = partition,
                    .offset = entry.offset},
          .record = {.partition = {topic.name + options_.dead_letter_suffix, entry.record_partition},
                     .offset = entry.record_offset}};
}

void DeadLetterIndex::add(Topic& topic, std::int32_t record_partition, const DeadLetter& letter) {
  if (letter.place.topic != topic.name) return;
  if (Entry* known = entry_of(topic, letter.place)) {
    known->record_partition = record_partition;
    known->record_offset = letter.record.offset;
    return;
  }
  Partition& partition = topic.partitions[letter.place.partition];
  auto topic_id = std::ranges::find(partition.topic_ids, letter.place.topic_id);
  if (topic_id == partition.topic_ids.end()) {
    if (partition.topic_ids.size() > std::numeric_limits<std::uint16_t>::max()) return;
    topic_id = partition.topic_ids.insert(topic_id, letter.place.topic_id);
  }
  const Entry entry{.offset = letter.place.offset,
                    .record_offset = letter.record.offset,
                    .record_partition = record_partition,
                    .topic_number = static_cast<std::uint16_t>(topic_id - partition.topic_ids.begin())};
  // Nearly always the last one: letters are written in the order of their source.
  const auto at = std::ranges::upper_bound(
      partition.entries, std::pair(entry.topic_number, entry.offset), {},
      [](const Entry& other) { return std::pair(other.topic_number, other.offset); });
  partition.entries.insert(at, entry);
  ++topic.letters;
}

bool DeadLetterIndex::mark(Topic& topic, const ports::DeadLetterPosition& place) {
  Entry* entry = entry_of(topic, place);
  if (entry == nullptr || entry->is_handled) return false;
  entry->is_handled = true;
  ++topic.handled;
  return true;
}

void DeadLetterIndex::remove_deleted(Topic& topic, std::int32_t record_partition, std::int64_t begin) {
  for (auto& [number, partition] : topic.partitions)
    std::erase_if(partition.entries, [&](const Entry& entry) {
      if (entry.record_partition != record_partition || entry.record_offset >= begin) return false;
      --topic.letters;
      if (entry.is_handled) --topic.handled;
      return true;
    });
}

void DeadLetterIndex::remove_handled(Topic& topic) {
  for (auto& [number, partition] : topic.partitions)
    std::erase_if(partition.entries, [](const Entry& entry) { return entry.is_handled; });
  topic.letters -= topic.handled;
  topic.handled = 0;
  // A repeat of one of them would come as a new letter.
  topic.is_unsure = true;
}

base::Result<void> DeadLetterIndex::read_partition(Topic& topic, std::int32_t number,
                                                   base::Deadline deadline) {
  const ports::TopicPartition where{topic.name + options_.dead_letter_suffix, number};
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log_.offsets(where, deadline));
  ports::OffsetRange& read = topic.read[number];
  if (range.begin > read.begin && read.end > read.begin) remove_deleted(topic, number, range.begin);
  read.begin = range.begin;
  read.end = std::max(read.end, range.begin);
  while (read.end < range.end) {
    if (deadline.passed())
      return base::unavailable(fmt::format(
          "the dead letters of {} are still being read, {} so far: ask again", topic.name, topic.letters));
    if (topic.letters >= letters_max_ && topic.handled > 0) remove_handled(topic);
    if (topic.letters >= letters_max_) break;
    const ports::ReadLimit limit{.records_max = std::min(kPiece.records_max, letters_max_ - topic.letters),
                                 .bytes_max = kPiece.bytes_max};
    // They are there; a log on other machines needs a moment to fetch them.
    MILLRACE_TRY_ASSIGN(auto records, log_.read(where, read.end, limit,
                                                base::Deadline::in(std::min(kReadTimeout, deadline.left()))));
    if (records.empty())
      return base::unavailable(
          fmt::format("the event log did not give the records of {} in time: try again", where.topic));
    for (ports::Record& record : records)
      if (const auto letter = read_dead_letter(std::move(record))) add(topic, number, *letter);
    read.end = records.back().offset + 1;
  }
  topic.unread += static_cast<std::uint64_t>(std::max<std::int64_t>(0, range.end - read.end));
  return {};
}

base::Result<void> DeadLetterIndex::read_new(Topic& topic, std::optional<std::int32_t> only_partition,
                                             base::Deadline deadline) {
  const auto info = log_.describe_topic(topic.name + options_.dead_letter_suffix, deadline);
  if (!info && info.error().kind == base::ErrorKind::kNotFound) return {};
  if (!info) return std::unexpected(info.error());
  if (info->topic_id != topic.topic_id) {
    std::string name = std::move(topic.name);
    topic = {};
    topic.name = std::move(name);
    topic.topic_id = info->topic_id;
  }
  if (only_partition) {
    if (*only_partition >= info->partitions) return {};
    return read_partition(topic, *only_partition, deadline);
  }
  topic.unread = 0;
  for (std::int32_t number = 0; number < info->partitions; ++number)
    MILLRACE_TRY(read_partition(topic, number, deadline));
  return {};
}

/// What other processes have handled since; nothing is asked when their number says that there is none.
base::Result<void> DeadLetterIndex::learn_handled(Topic& topic, std::uint64_t in_store,
                                                  base::Deadline deadline) {
  if (in_store == topic.handled_in_store && !topic.is_unsure) return {};
  MILLRACE_TRY(book_.list_handled(
      topic.name, [&](const ports::DeadLetterPosition& place) { mark(topic, place); }, deadline));
  topic.handled_in_store = in_store;
  topic.is_unsure = false;
  return {};
}

base::Result<void> DeadLetterIndex::refresh(base::Deadline deadline) {
  for (Topic& topic : topics_) {
    const std::size_t before = topic.letters;
    MILLRACE_TRY(read_new(topic, std::nullopt, deadline));
    // At the first look everything in the topic may have been handled long ago.
    if (before == 0 && topic.letters > 0) topic.is_unsure = true;
  }
  MILLRACE_TRY_ASSIGN(const auto counts, book_.handled_counts(deadline));
  for (Topic& topic : topics_) {
    const auto found = counts.find(topic.name);
    MILLRACE_TRY(learn_handled(topic, found == counts.end() ? 0 : found->second, deadline));
  }
  return {};
}

base::Result<IndexedPart> DeadLetterIndex::list(const std::vector<std::string>& topics,
                                                const std::optional<ports::DeadLetterPosition>& after,
                                                std::size_t count_max, bool handled_too,
                                                base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const Lock held, lock(deadline));
  MILLRACE_TRY(refresh(deadline));
  IndexedPart part;
  auto& found = part.letters;
  bool has_begun = !after;
  for (const std::string& name : topics) {
    Topic* const topic = topic_of(name);
    if (topic == nullptr) continue;
    part.open += topic->open();
    if (!has_begun && after->topic != name) continue;
    for (const auto& [number, partition] : topic->partitions) {
      auto first = partition.entries.begin();
      if (!has_begun) {
        if (number < after->partition) continue;
        const auto topic_id = std::ranges::find(partition.topic_ids, after->topic_id);
        if (number == after->partition && topic_id != partition.topic_ids.end())
          first = std::ranges::upper_bound(
              partition.entries,
              std::pair(static_cast<std::uint16_t>(topic_id - partition.topic_ids.begin()), after->offset),
              {}, [](const Entry& entry) { return std::pair(entry.topic_number, entry.offset); });
        has_begun = true;
      }
      for (; first != partition.entries.end() && found.size() < count_max; ++first)
        if (handled_too || !first->is_handled) found.push_back(shown(*topic, number, *first));
    }
    has_begun = true;
  }
  if (!has_begun) return base::invalid("'after' names no place in this list: begin without it");
  return part;
}

base::Result<std::optional<IndexedLetter>> DeadLetterIndex::find(const DeadLetterId& id,
                                                                 base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const Lock held, lock(deadline));
  Topic* const topic = topic_of(id.topic);
  if (topic == nullptr) return std::optional<IndexedLetter>();
  MILLRACE_TRY(read_new(*topic, id.partition, deadline));
  const auto partition = topic->partitions.find(id.partition);
  if (partition == topic->partitions.end()) return std::optional<IndexedLetter>();
  for (std::size_t newest = partition->second.topic_ids.size(); newest > 0; --newest)
    if (const Entry* entry =
            entry_of(*topic, {id.topic, partition->second.topic_ids[newest - 1], id.partition, id.offset}))
      return std::optional(shown(*topic, id.partition, *entry));
  return std::optional<IndexedLetter>();
}

void DeadLetterIndex::mark_handled(const ports::DeadLetterPosition& place) {
  const std::lock_guard held(mutex_);
  Topic* const topic = topic_of(place.topic);
  // What is marked already came with the store's number.
  if (topic != nullptr && mark(*topic, place)) ++topic->handled_in_store;
}

base::Result<std::map<std::string, std::uint64_t>> DeadLetterIndex::open_counts(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const Lock held, lock(deadline));
  MILLRACE_TRY(refresh(deadline));
  std::map<std::string, std::uint64_t> open;
  for (const Topic& topic : topics_) open[topic.name] = topic.open();
  return open;
}

}  // namespace millrace::dead_letters
