// Dead letters: list, look, replay, drop.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "domain/analytics_row.h"
#include "letters/letter.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "ports/letter_book.h"

namespace millrace::letters {

struct Options {
  std::string event_topic = "order.events";
  std::string row_topic = "orders_analytics";
  std::string dead_letter_suffix = "-dlq";
};

struct LetterList {
  std::vector<Letter> letters;  ///< By topic, partition and place in the dead-letter topic.
  bool more = false;            ///< There are more than were asked for.
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

  /// The open letters, or with `handled_too` all of them, each once. `topic`: the source's; empty: of all.
  /// Errors: kNotFound (no such topic), kUnavailable.
  [[nodiscard]] base::Result<LetterList> list(std::string_view topic, std::size_t letters_max,
                                              bool handled_too, base::Deadline deadline);

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
  [[nodiscard]] base::Result<std::int32_t> partitions_of(const std::string& topic, base::Deadline deadline);
  /// Hands on the letters of one partition in bounded pieces, until `take` says false.
  [[nodiscard]] base::Result<void> scan(const std::string& topic, std::int32_t partition,
                                        const std::function<base::Result<bool>(std::vector<Letter>)>& take,
                                        base::Deadline deadline);
  [[nodiscard]] base::Result<void> add_handled(std::vector<Letter>& letters, base::Deadline deadline);

  ports::EventLog& log_;
  ports::LetterBook& book_;
  const ports::Clock& clock_;
  const LoadBaseRow load_base_row_;
  const std::function<void()> on_committed_;
  const Options options_;
};

}  // namespace millrace::letters
