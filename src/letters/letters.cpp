#include "letters/letters.h"

#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/text.h"

namespace millrace::letters {
namespace {

constexpr ports::ReadLimit kPiece{.records_max = 500, .bytes_max = std::size_t{4} << 20};

std::string handled_text(const ports::HandledLetter& handled) {
  return fmt::format("{} by {} at {}",
                     handled.action == ports::LetterAction::kReplayed ? "replayed" : "dropped",
                     base::printable(handled.by, 100), base::to_iso8601(handled.at));
}

base::Error handled_before(const LetterId& id, const ports::HandledLetter& handled) {
  return {base::ErrorKind::kConflict, fmt::format("{} was already {}", to_string(id), handled_text(handled)),
          0};
}

base::Deadline at_once() {
  return base::Deadline::in(std::chrono::milliseconds(0));
}

}  // namespace

Letters::Letters(ports::EventLog& log, ports::LetterBook& book, const ports::Clock& clock,
                 LoadBaseRow load_base_row, std::function<void()> on_committed, Options options)
    : log_(log),
      book_(book),
      clock_(clock),
      load_base_row_(std::move(load_base_row)),
      on_committed_(std::move(on_committed)),
      options_(std::move(options)) {}

/// 0 while no letter was ever written.
base::Result<std::int32_t> Letters::partitions_of(const std::string& topic, base::Deadline deadline) {
  const auto info = log_.describe_topic(topic + options_.dead_letter_suffix, deadline);
  if (info) return info->partitions;
  if (info.error().kind == base::ErrorKind::kNotFound) return 0;
  return std::unexpected(info.error());
}

base::Result<void> Letters::scan(const std::string& topic, std::int32_t partition,
                                 const std::function<base::Result<bool>(std::vector<Letter>)>& take,
                                 base::Deadline deadline) {
  const ports::TopicPartition where{topic + options_.dead_letter_suffix, partition};
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log_.offsets(where, deadline));
  for (std::int64_t at = range.begin; at < range.end;) {
    if (deadline.passed())
      return base::unavailable(
          fmt::format("there are too many letters in {} to look at in time", where.topic));
    MILLRACE_TRY_ASSIGN(auto records, log_.read(where, at, kPiece, at_once()));
    if (records.empty()) return {};
    at = records.back().offset + 1;
    std::vector<Letter> letters;
    for (ports::Record& record : records)
      if (auto letter = read_letter(std::move(record))) letters.push_back(std::move(*letter));
    MILLRACE_TRY_ASSIGN(const bool go_on, take(std::move(letters)));
    if (!go_on) return {};
  }
  return {};
}

base::Result<void> Letters::add_handled(std::vector<Letter>& letters, base::Deadline deadline) {
  std::vector<ports::LetterPlace> places;
  places.reserve(letters.size());
  for (const Letter& letter : letters) places.push_back(letter.place);
  MILLRACE_TRY_ASSIGN(auto handled, book_.handled(places, deadline));
  std::map<ports::LetterPlace, ports::HandledLetter> by_place;
  for (ports::HandledLetter& one : handled) by_place.emplace(one.place, one);
  for (Letter& letter : letters)
    if (const auto found = by_place.find(letter.place); found != by_place.end())
      letter.handled = found->second;
  return {};
}

base::Result<LetterList> Letters::list(std::string_view topic, std::size_t letters_max, bool handled_too,
                                       base::Deadline deadline) {
  std::vector<std::string> topics{options_.event_topic, options_.row_topic};
  if (!topic.empty()) {
    std::erase_if(topics, [&](const std::string& known) { return known != topic; });
    if (topics.empty())
      return base::not_found(
          fmt::format("there are dead letters of {} and {} only", options_.event_topic, options_.row_topic));
  }
  LetterList list;
  std::set<ports::LetterPlace> seen;
  for (const std::string& source : topics) {
    MILLRACE_TRY_ASSIGN(const std::int32_t partitions, partitions_of(source, deadline));
    for (std::int32_t partition = 0; partition < partitions && !list.more; ++partition) {
      const auto take = [&](std::vector<Letter> letters) -> base::Result<bool> {
        MILLRACE_TRY(add_handled(letters, deadline));
        for (Letter& letter : letters) {
          if ((letter.handled && !handled_too) || seen.contains(letter.place)) continue;
          if (list.letters.size() == letters_max) {
            list.more = true;
            return false;
          }
          seen.insert(letter.place);
          // A list of many must not hold their values: what is shown of each is looked at one by one.
          letter.record.value.clear();
          letter.record.value.shrink_to_fit();
          list.letters.push_back(std::move(letter));
        }
        return true;
      };
      MILLRACE_TRY(scan(source, partition, take, deadline));
    }
  }
  return list;
}

base::Result<Letter> Letters::find(const LetterId& id, base::Deadline deadline) {
  std::optional<Letter> found;
  MILLRACE_TRY_ASSIGN(const std::int32_t partitions, partitions_of(id.topic, deadline));
  if (id.partition < partitions) {
    // The last one: an earlier one of the same numbers may be of a topic that was made anew.
    const auto take = [&](std::vector<Letter> letters) -> base::Result<bool> {
      for (Letter& letter : letters)
        if (id_of(letter.place) == id) found = std::move(letter);
      return true;
    };
    MILLRACE_TRY(scan(id.topic, id.partition, take, deadline));
  }
  if (!found) return base::not_found(fmt::format("there is no dead letter {}", to_string(id)));
  std::vector<Letter> one;
  one.push_back(std::move(*found));
  MILLRACE_TRY(add_handled(one, deadline));
  return std::move(one.front());
}

base::Result<Letter> Letters::find_open(const LetterId& id, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto letter, find(id, deadline));
  if (letter.handled) return std::unexpected(handled_before(id, *letter.handled));
  return letter;
}

/// The event behind a letter: its own value, or for a row the record of order.events that it was made from.
base::Result<std::string> Letters::value_of(const Letter& letter, base::Deadline deadline) {
  if (letter.place.topic == options_.event_topic) return letter.record.value;
  const auto text = letter.record.header(ports::kHeaderInputOffset);
  const auto offset = text ? base::parse_int<std::int64_t>(*text) : std::nullopt;
  if (!offset)
    return base::conflict(fmt::format(
        "the record does not say which event it was made from, so the transformer did not write it: drop it, "
        "or give the event as a corrected value"));
  const ports::TopicPartition events{options_.event_topic, letter.place.partition};
  const auto gone = [&] {
    return base::conflict(
        fmt::format("its event {}/{}/{} is no longer in the log: `millrace rebuild` brings the order in from "
                    "the order store",
                    events.topic, events.partition, *offset));
  };
  MILLRACE_TRY_ASSIGN(const auto range, log_.offsets(events, deadline));
  if (*offset < range.begin || *offset >= range.end) return gone();
  MILLRACE_TRY_ASSIGN(auto records, log_.read(events, *offset, {1, kPiece.bytes_max}, at_once()));
  if (records.empty() || records.front().offset != *offset) return gone();
  return std::move(records.front().value);
}

base::Result<void> Letters::restore(Letter& letter, base::Deadline deadline) {
  if (!letter.record.header(ports::kHeaderValueBytes)) return {};
  const ports::TopicPartition source{letter.place.topic, letter.place.partition};
  MILLRACE_TRY_ASSIGN(const auto topic, log_.describe_topic(source.topic, deadline));
  MILLRACE_TRY_ASSIGN(const auto range, log_.offsets(source, deadline));
  const std::int64_t offset = letter.place.offset;
  if (topic.incarnation == letter.place.incarnation && offset >= range.begin && offset < range.end) {
    MILLRACE_TRY_ASSIGN(auto records, log_.read(source, offset, {1, kPiece.bytes_max}, at_once()));
    if (!records.empty() && records.front().offset == offset) {
      letter.record.value = std::move(records.front().value);
      return {};
    }
  }
  return base::conflict(
      "its value was too large for a letter, and the record that it was cut from is no longer in the log: "
      "give "
      "a corrected value");
}

base::Result<void> Letters::load_half(const Letter& letter, base::Deadline deadline) {
  const auto row = domain::parse_analytics_row(letter.record.value);
  if (!row) return base::rejected(fmt::format("the letter holds no row: {}", row.error().message));
  return load_base_row_(*row, deadline);
}

base::Result<ports::HandledLetter> Letters::note(const Letter& letter, ports::HandledLetter handled,
                                                 const std::optional<ports::NewOutboxRow>& event,
                                                 base::Deadline deadline) {
  const LetterId id = id_of(letter.place);
  auto done = book_.handle(handled, event, deadline);
  if (!done && done.error().kind == base::ErrorKind::kConflict) {
    // Another call was faster: say which.
    const auto again = find(id, deadline);
    if (again && again->handled) return std::unexpected(handled_before(id, *again->handled));
  }
  if (!done) return done;
  spdlog::info("dead letter {} {}{}", to_string(id), handled_text(*done),
               done->event_id ? fmt::format(", as event {}", *done->event_id) : "");
  if (event) on_committed_();
  return done;
}

base::Result<ports::HandledLetter> Letters::replay(const LetterId& id,
                                                   const std::optional<std::string>& corrected,
                                                   const std::string& admin, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(Letter letter, find_open(id, deadline));
  if (!corrected) MILLRACE_TRY(restore(letter, deadline));
  ports::HandledLetter handled{.place = letter.place,
                               .action = ports::LetterAction::kReplayed,
                               .by = admin,
                               .note = {},
                               .at = clock_.now(),
                               .event_id = {}};
  if (letter.half_base) {
    if (corrected)
      return base::invalid(
          "the sums already have this row as it is, only its base row is missing: replay it without a value");
    MILLRACE_TRY(load_half(letter, deadline));
    handled.note = "base row loaded";
    return note(letter, std::move(handled), std::nullopt, deadline);
  }
  std::string value;
  if (corrected) {
    value = *corrected;
    handled.note = "with a corrected value";
  } else {
    MILLRACE_TRY_ASSIGN(value, value_of(letter, deadline));
  }
  MILLRACE_TRY_ASSIGN(auto event, event_in_place_of(letter, value, clock_.now()));
  return note(letter, std::move(handled), std::move(event), deadline);
}

base::Result<ports::HandledLetter> Letters::drop(const LetterId& id, const std::string& reason,
                                                 const std::string& admin, base::Deadline deadline) {
  if (base::trim(reason).empty() || reason.size() > kNoteBytesMax || !base::is_utf8(reason))
    return base::invalid(fmt::format("say why it is dropped, in at most {} bytes of UTF-8", kNoteBytesMax));
  MILLRACE_TRY_ASSIGN(const Letter letter, find_open(id, deadline));
  return note(letter,
              {.place = letter.place,
               .action = ports::LetterAction::kDropped,
               .by = admin,
               .note = reason,
               .at = clock_.now(),
               .event_id = {}},
              std::nullopt, deadline);
}

}  // namespace millrace::letters
