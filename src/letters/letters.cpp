#include "letters/letters.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/text.h"

namespace millrace::letters {
namespace {

constexpr ports::ReadLimit kPiece{.records_max = 500, .bytes_max = std::size_t{4} << 20};
/// Records that nobody wants are read to reach the next wanted one, up to so many in a row.
constexpr std::int64_t kGapMax = 16;
constexpr std::chrono::milliseconds kRecordTimeout{3'000};

std::string handled_text(const ports::HandledLetter& handled) {
  return fmt::format("{} by {} at {}",
                     handled.action == ports::LetterAction::kReplayed ? "replayed" : "dropped",
                     base::printable(handled.by, 100), base::to_iso8601(handled.at));
}

base::Error handled_before(const LetterId& id, const ports::HandledLetter& handled) {
  return {base::ErrorKind::kConflict, fmt::format("{} was already {}", to_string(id), handled_text(handled)),
          0};
}

/// A place in the list: the letter's id, and the incarnation of its topic.
std::string cursor_at(const ports::LetterPlace& place) {
  return fmt::format("{}@{}", to_string(id_of(place)), place.incarnation);
}

base::Result<ports::LetterPlace> parse_cursor(std::string_view text) {
  const std::size_t at = text.find('@');
  auto id = parse_letter_id(text.substr(0, at));
  if (!id || at == std::string_view::npos)
    return base::invalid("'after' must be what the list before it gave as 'next'");
  return ports::LetterPlace{std::move(id->topic), std::string(text.substr(at + 1)), id->partition,
                            id->offset};
}

/// For a record that is there: a log on other machines needs a moment to fetch it.
base::Deadline for_a_record(base::Deadline deadline) {
  return base::Deadline::in(std::min(kRecordTimeout, deadline.left()));
}

base::Error no_answer(const ports::TopicPartition& where, std::int64_t offset) {
  return {base::ErrorKind::kUnavailable,
          fmt::format("the event log did not give record {}/{}/{} in time: try again", where.topic,
                      where.partition, offset),
          0};
}

}  // namespace

Letters::Letters(ports::EventLog& log, ports::LetterBook& book, const ports::Clock& clock,
                 LoadBaseRow load_base_row, std::function<void()> on_committed, Options options)
    : log_(log),
      book_(book),
      clock_(clock),
      load_base_row_(std::move(load_base_row)),
      on_committed_(std::move(on_committed)),
      options_(std::move(options)),
      index_(log_, book_, options_) {}

base::Result<std::vector<Letter>> Letters::read(std::span<const IndexedLetter> letters,
                                                base::Deadline deadline) {
  // By where the records lie, so that neighbours come in one piece; by their order in `letters` afterwards.
  std::map<ports::TopicPartition, std::map<std::int64_t, std::size_t>> wanted;
  for (std::size_t i = 0; i < letters.size(); ++i)
    wanted[letters[i].record.partition].emplace(letters[i].record.offset, i);
  std::vector<std::optional<Letter>> found(letters.size());
  for (auto& [where, offsets] : wanted) {
    while (!offsets.empty()) {
      if (deadline.passed())
        return base::unavailable("the dead letters were not read in time: ask for fewer");
      const std::int64_t first = offsets.begin()->first;
      std::int64_t last = first;
      for (const auto& [offset, index] : offsets) {
        if (offset - last > kGapMax || offset - first >= static_cast<std::int64_t>(kPiece.records_max)) break;
        last = offset;
      }
      const ports::ReadLimit limit{.records_max = static_cast<std::size_t>(last - first + 1),
                                   .bytes_max = kPiece.bytes_max};
      auto records = log_.read(where, first, limit, for_a_record(deadline));
      if (records && records->empty()) return std::unexpected(no_answer(where, first));
      // Removed since, by the log's retention.
      if (!records && records.error().kind == base::ErrorKind::kInvalid) records.emplace();
      if (!records) return std::unexpected(std::move(records).error());
      const std::int64_t next = records->empty() ? last + 1 : records->back().offset + 1;
      for (ports::Record& record : *records) {
        const auto place = offsets.find(record.offset);
        if (place == offsets.end()) continue;
        auto letter = read_letter(std::move(record));
        if (letter && letter->place == letters[place->second].place) found[place->second] = std::move(letter);
      }
      offsets.erase(offsets.begin(), offsets.lower_bound(next));
    }
  }
  std::vector<Letter> read;
  read.reserve(letters.size());
  for (std::optional<Letter>& letter : found)
    if (letter) read.push_back(std::move(*letter));
  return read;
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

base::Result<LetterList> Letters::list(const ListQuery& query, base::Deadline deadline) {
  std::vector<std::string> topics{options_.event_topic, options_.row_topic};
  if (!query.topic.empty()) {
    std::erase_if(topics, [&](const std::string& known) { return known != query.topic; });
    if (topics.empty())
      return base::not_found(
          fmt::format("there are dead letters of {} and {} only", options_.event_topic, options_.row_topic));
  }
  std::optional<ports::LetterPlace> after;
  if (!query.after.empty()) {
    MILLRACE_TRY_ASSIGN(after, parse_cursor(query.after));
  }
  LetterList list;
  std::vector<Letter> letters;
  while (list.letters.size() < query.count_max) {
    const std::size_t room = query.count_max - list.letters.size();
    // One more than there is room for tells whether there is a next part.
    MILLRACE_TRY_ASSIGN(auto part, index_.list(topics, after, room + 1, query.handled_too, deadline));
    auto& places = part.letters;
    list.open = part.open;
    const bool has_more = places.size() > room;
    if (has_more) places.resize(room);
    if (places.empty()) break;
    after = places.back().place;
    MILLRACE_TRY_ASSIGN(letters, read(places, deadline));
    MILLRACE_TRY(add_handled(letters, deadline));
    for (Letter& letter : letters) {
      if (letter.handled) index_.mark_handled(letter.place);
      if (letter.handled && !query.handled_too) continue;
      // A list of many must not hold their values: what is shown of each is looked at one by one.
      letter.record.value.clear();
      letter.record.value.shrink_to_fit();
      list.letters.push_back(std::move(letter));
    }
    if (!has_more) {
      after.reset();
      break;
    }
  }
  if (after && list.letters.size() == query.count_max) list.next = cursor_at(*after);
  return list;
}

base::Result<Letter> Letters::find(const LetterId& id, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto place, index_.find(id, deadline));
  std::vector<Letter> one;
  if (place) {
    MILLRACE_TRY_ASSIGN(one, read({&*place, 1}, deadline));
  }
  if (one.empty()) return base::not_found(fmt::format("there is no dead letter {}", to_string(id)));
  MILLRACE_TRY(add_handled(one, deadline));
  if (one.front().handled) index_.mark_handled(one.front().place);
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
  MILLRACE_TRY_ASSIGN(auto records,
                      log_.read(events, *offset, {1, kPiece.bytes_max}, for_a_record(deadline)));
  if (records.empty()) return std::unexpected(no_answer(events, *offset));
  if (records.front().offset != *offset) return gone();
  return std::move(records.front().value);
}

base::Result<void> Letters::restore(Letter& letter, base::Deadline deadline) {
  if (!letter.record.header(ports::kHeaderValueBytes)) return {};
  const ports::TopicPartition source{letter.place.topic, letter.place.partition};
  MILLRACE_TRY_ASSIGN(const auto topic, log_.describe_topic(source.topic, deadline));
  MILLRACE_TRY_ASSIGN(const auto range, log_.offsets(source, deadline));
  const std::int64_t offset = letter.place.offset;
  if (topic.incarnation == letter.place.incarnation && offset >= range.begin && offset < range.end) {
    MILLRACE_TRY_ASSIGN(auto records,
                        log_.read(source, offset, {1, kPiece.bytes_max}, for_a_record(deadline)));
    if (records.empty()) return std::unexpected(no_answer(source, offset));
    if (records.front().offset == offset) {
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
  index_.mark_handled(letter.place);
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
