#include "letters/open_letters.h"

#include <functional>
#include <utility>

#include <fmt/format.h>

namespace millrace::letters {
namespace {

constexpr ports::ReadLimit kPiece{.records_max = 500, .bytes_max = std::size_t{4} << 20};

std::uint64_t hash_of(const ports::LetterPlace& place) {
  return std::hash<std::string>{}(
      fmt::format("{}/{}/{}/{}", place.topic, place.incarnation, place.partition, place.offset));
}

}  // namespace

OpenLetters::OpenLetters(ports::EventLog& log, ports::LetterBook& book, Options options)
    : log_(log), book_(book), options_(std::move(options)) {
  for (const std::string& name : {options_.event_topic, options_.row_topic})
    topics_.push_back({.name = name, .incarnation = {}, .next = {}, .letters = 0});
}

base::Result<void> OpenLetters::follow(Topic& topic, base::Deadline deadline) {
  const std::string dead_letters = topic.name + options_.dead_letter_suffix;
  const auto info = log_.describe_topic(dead_letters, deadline);
  if (!info && info.error().kind == base::ErrorKind::kNotFound) return {};
  if (!info) return std::unexpected(info.error());
  if (info->incarnation != topic.incarnation)
    topic = {.name = topic.name, .incarnation = info->incarnation, .next = {}, .letters = 0};
  for (std::int32_t partition = 0; partition < info->partitions; ++partition) {
    MILLRACE_TRY_ASSIGN(const auto range, log_.offsets({dead_letters, partition}, deadline));
    std::int64_t& next = topic.next[partition];
    next = std::max(next, range.begin);
    while (next < range.end) {
      if (deadline.passed())
        return base::unavailable("there are more dead letters than could be counted in time");
      MILLRACE_TRY_ASSIGN(auto records, log_.read({dead_letters, partition}, next, kPiece,
                                                  base::Deadline::in(std::chrono::milliseconds(0))));
      if (records.empty()) break;
      next = records.back().offset + 1;
      for (ports::Record& record : records) {
        const auto letter = read_letter(std::move(record));
        if (!letter) continue;
        const std::uint64_t place = hash_of(letter->place);
        if (places_.contains(place)) continue;
        if (places_.size() < kPlacesMax) places_.insert(place);
        ++topic.letters;
      }
    }
  }
  return {};
}

base::Result<std::map<std::string, std::uint64_t>> OpenLetters::count(base::Deadline deadline) {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::uint64_t> open;
  for (Topic& topic : topics_) MILLRACE_TRY(follow(topic, deadline));
  MILLRACE_TRY_ASSIGN(const auto handled, book_.handled_counts(deadline));
  for (const Topic& topic : topics_) {
    const auto found = handled.find(topic.name);
    const std::uint64_t done = found == handled.end() ? 0 : found->second;
    open[topic.name] = topic.letters > done ? topic.letters - done : 0;
  }
  return open;
}

}  // namespace millrace::letters
