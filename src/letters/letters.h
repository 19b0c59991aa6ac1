// Dead letters: list, look, replay, drop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "domain/analytics_row.h"
#include "letters/letter.h"
#include "letters/letter_index.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "ports/letter_book.h"

namespace millrace::letters {

struct ListQuery {
  std::string topic;            ///< Of the source; empty: of all.
  std::string after;            ///< `LetterList::next` of the part before; empty: from the first on.
  std::size_t count_max = 100;  ///< At least 1.
  bool handled_too = false;     ///< Also those that were replayed or dropped.
};

struct LetterList {
  std::vector<Letter> letters;  ///< By topic, partition and offset of the source; without their values.
  std::string next;             ///< What to ask for the next part with; empty: there is none.
  std::uint64_t open = 0;       ///< How many of the topics asked for nobody has handled, listed here or not.
};

inline constexpr std::size_t kNoteBytesMax = 500;

/// Puts the base row of a letter of which only that half is missing into the warehouse; may be repeated.
using LoadBaseRow = std::function<base::Result<void>(const domain::AnalyticsRow&, base::Deadline)>;

/// Thread-safe. What it is given must outlive it.
class Letters {
 public:
  /// `on_committed` is called after a replay that wrote an outbox row: it wakes the relay.
  Letters(ports::EventLog& log, ports::LetterBook& book, const ports::Clock& clock, LoadBaseRow load_base_row,
          std::function<void()> on_committed, Options options = {});

  /// A part of the open letters, or with `handled_too` of all of them, each once. Errors: kNotFound (no such
  /// topic), kInvalid (`after`), kUnavailable.
  [[nodiscard]] base::Result<LetterList> list(const ListQuery& query, base::Deadline deadline);

  /// How many letters of each source topic nobody has handled. Errors: kUnavailable.
  [[nodiscard]] base::Result<std::map<std::string, std::uint64_t>> open_counts(base::Deadline deadline) {
    return index_.open_counts(deadline);
  }

  /// Errors: kNotFound, kUnavailable.
  [[nodiscard]] base::Result<Letter> find(const LetterId& id, base::Deadline deadline);

  /// Sends the letter's event again (with `corrected` as its value, if given), as a new event through the
  /// outbox, exactly once however often it is asked for; of a letter whose base half is missing loads that
  /// half. Errors: kNotFound, kConflict (handled before; or its event is no longer there), kRejected (it
  /// would be a dead letter again), kInvalid (the corrected value), kUnavailable (a second call tells what
  /// became of it).
  [[nodiscard]] base::Result<ports::HandledLetter> replay(const LetterId& id,
                                                          const std::optional<std::string>& corrected,
                                                          const std::string& admin, base::Deadline deadline);

  /// Notes that nobody will replay it. Errors: kNotFound, kConflict (handled before), kInvalid (no reason or
  /// a long one), kUnavailable.
  [[nodiscard]] base::Result<ports::HandledLetter> drop(const LetterId& id, const std::string& reason,
                                                        const std::string& admin, base::Deadline deadline);

 private:
  [[nodiscard]] base::Result<Letter> find_open(const LetterId& id, base::Deadline deadline);
  [[nodiscard]] base::Result<std::string> value_of(const Letter& letter, base::Deadline deadline);
  /// Puts back what was cut off the letter's value, from the record that it was made of.
  [[nodiscard]] base::Result<void> restore(Letter& letter, base::Deadline deadline);
  [[nodiscard]] base::Result<void> load_half(const Letter& letter, base::Deadline deadline);
  [[nodiscard]] base::Result<ports::HandledLetter> note(const Letter& letter, ports::HandledLetter handled,
                                                        const std::optional<ports::NewOutboxRow>& event,
                                                        base::Deadline deadline);
  /// Reads the records of `letters`, in bounded pieces; letters whose record is gone are missing.
  [[nodiscard]] base::Result<std::vector<Letter>> read(std::span<const IndexedLetter> letters,
                                                       base::Deadline deadline);
  [[nodiscard]] base::Result<void> add_handled(std::vector<Letter>& letters, base::Deadline deadline);

  ports::EventLog& log_;
  ports::LetterBook& book_;
  const ports::Clock& clock_;
  const LoadBaseRow load_base_row_;
  const std::function<void()> on_committed_;
  const Options options_;
  LetterIndex index_;
};

}  // namespace millrace::letters
