// How many letters nobody has handled yet, without reading all of them again each time.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "base/deadline.h"
#include "base/result.h"
#include "letters/letters.h"
#include "ports/event_log.h"
#include "ports/letter_book.h"

namespace millrace::letters {

/// Thread-safe; one caller at a time is served. Remembers the places of up to kPlacesMax letters, about 60
/// bytes each; letters beyond that are counted once for each time they were written.
class OpenLetters {
 public:
  static constexpr std::size_t kPlacesMax = 100'000;

  OpenLetters(ports::EventLog& log, ports::LetterBook& book, Options options = {});

  /// By source topic. Reads only what was written since the last call. Errors: kUnavailable (also while there
  /// is more to read than the deadline allows; the next call goes on from there).
  [[nodiscard]] base::Result<std::map<std::string, std::uint64_t>> count(base::Deadline deadline);

 private:
  struct Topic {
    std::string name;
    std::string incarnation;                    // of the dead-letter topic
    std::map<std::int32_t, std::int64_t> next;  // to be read, by partition
    std::uint64_t letters = 0;
  };
  [[nodiscard]] base::Result<void> follow(Topic& topic, base::Deadline deadline);

  ports::EventLog& log_;
  ports::LetterBook& book_;
  const Options options_;
  std::mutex mutex_;
  std::vector<Topic> topics_;       // guarded by mutex_
  std::set<std::uint64_t> places_;  // guarded by mutex_; hashes, 64 bits
};

}  // namespace millrace::letters
