// Which dead letters have been handled: kept with the order store, so that sending a letter's event again and
// noting that it was sent are one transaction.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"
#include "ports/order_store.h"

namespace millrace::ports {

/// Where the record of a dead letter was read: what tells one letter from another. A letter that was written
/// twice, because its stage crashed, has one place.
struct LetterPlace {
  std::string topic;
  std::string incarnation;  ///< Of the topic; empty for letters of programs that did not write it.
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  friend auto operator<=>(const LetterPlace&, const LetterPlace&) = default;
};

enum class LetterAction { kReplayed, kDropped };

struct HandledLetter {
  LetterPlace place;
  LetterAction action = LetterAction::kReplayed;
  std::string by;                         ///< The admin id.
  std::string note;                       ///< Why it was dropped, or what became of it.
  base::UtcTime at;                       ///< Whole milliseconds.
  std::optional<std::uint64_t> event_id;  ///< Of the event that was sent in its stead.
};

/// Thread-safe.
class LetterBook {
 public:
  virtual ~LetterBook() = default;

  /// Notes that the letter was handled and, in the same transaction, puts `event` (if there is one) into the
  /// outbox; its id goes into the answer. `letter.event_id` is ignored. Errors: kConflict (it was handled
  /// before: nothing was written), kInvalid (a text too long, a payload that is no JSON), kUnavailable
  /// (nothing was written, or the answer was lost: a second call tells).
  [[nodiscard]] virtual base::Result<HandledLetter> handle(const HandledLetter& letter,
                                                           const std::optional<NewOutboxRow>& event,
                                                           base::Deadline deadline) = 0;

  /// Those of `places` that were handled. Errors: kUnavailable.
  [[nodiscard]] virtual base::Result<std::vector<HandledLetter>> handled(std::span<const LetterPlace> places,
                                                                         base::Deadline deadline) = 0;

  /// Hands on where every handled letter of a source topic was read, without keeping them. Errors:
  /// kUnavailable.
  [[nodiscard]] virtual base::Result<void> list_handled(
      const std::string& topic, const std::function<void(const LetterPlace&)>& on_place,
      base::Deadline deadline) = 0;

  /// How many letters of each topic were handled. Errors: kUnavailable.
  [[nodiscard]] virtual base::Result<std::map<std::string, std::uint64_t>> handled_counts(
      base::Deadline deadline) = 0;
};

}  // namespace millrace::ports
