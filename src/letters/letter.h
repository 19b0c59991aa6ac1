// A dead letter as it lies in its topic, and its id for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/analytics_row.h"
#include "domain/order_event.h"
#include "ports/letter_book.h"
#include "ports/record_headers.h"

namespace millrace::letters {

struct Letter {
  ports::LetterPlace place;
  ports::Record record;  ///< As it lies in the dead-letter topic.
  std::string reason;
  bool half_base = false;  ///< The sums have it, the base table has not.
  std::optional<ports::HandledLetter> handled;
};

/// What a person names a letter by: "order.events/2/1234", topic, partition and offset of the source.
struct LetterId {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  friend bool operator==(const LetterId&, const LetterId&) = default;
};

[[nodiscard]] std::string to_string(const LetterId& id);
[[nodiscard]] inline LetterId id_of(const ports::LetterPlace& place) {
  return {place.topic, place.partition, place.offset};
}
/// Errors: kInvalid.
[[nodiscard]] base::Result<LetterId> parse_letter_id(std::string_view text);
[[nodiscard]] base::Result<LetterId> parse_letter_id(std::string_view topic, std::string_view partition,
                                                     std::string_view offset);

/// The letter in a record of a dead-letter topic, or nothing if its headers do not say where it came from.
[[nodiscard]] std::optional<Letter> read_letter(ports::Record record);

/// The event that takes the letter's place, from `value`: a row for the outbox. Errors: kRejected when it
/// would become a dead letter again (with the reason), kInvalid when it is of another order than the letter.
[[nodiscard]] base::Result<ports::NewOutboxRow> event_in_place_of(const Letter& letter,
                                                                  std::string_view value, base::UtcTime now);

}  // namespace millrace::letters
