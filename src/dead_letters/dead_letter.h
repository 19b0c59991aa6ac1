// A dead letter as it lies in its topic, and its id for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/analytics_row.h"
#include "domain/order_event.h"
#include "ports/dead_letter_store.h"
#include "ports/record_headers.h"

namespace millrace::dead_letters {

struct DeadLetter {
  ports::DeadLetterPosition place;
  ports::Record record;  ///< As it lies in the dead-letter topic.
  std::string reason;
  bool half_base = false;  ///< The sums have it, the base table has not.
  std::optional<ports::HandledDeadLetter> handled;
};

/// What a person names a letter by: "order.events/2/1234", topic, partition and offset of the source.
struct DeadLetterId {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  friend bool operator==(const DeadLetterId&, const DeadLetterId&) = default;
};

[[nodiscard]] std::string to_string(const DeadLetterId& id);
[[nodiscard]] inline DeadLetterId id_of(const ports::DeadLetterPosition& place) {
  return {place.topic, place.partition, place.offset};
}
/// Errors: kInvalid.
[[nodiscard]] base::Result<DeadLetterId> parse_dead_letter_id(std::string_view text);
[[nodiscard]] base::Result<DeadLetterId> parse_dead_letter_id(std::string_view topic,
                                                              std::string_view partition,
                                                              std::string_view offset);

/// The letter in a record of a dead-letter topic, or nothing if its headers do not say where it came from.
[[nodiscard]] std::optional<DeadLetter> read_dead_letter(ports::Record record);

/// The event that takes the letter's place, from `value`: a row for the outbox. Errors: kRejected when it
/// would become a dead letter again (with the reason), kInvalid when it is of another order than the letter.
[[nodiscard]] base::Result<ports::NewOutboxRow> event_in_place_of(const DeadLetter& letter,
                                                                  std::string_view value, base::UtcTime now);

}  // namespace millrace::dead_letters
