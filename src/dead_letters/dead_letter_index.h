// Where the dead letters lie: their topics are read once, and then only what is new.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "dead_letters/dead_letter.h"
#include "ports/dead_letter_store.h"
#include "ports/event_log.h"

namespace millrace::dead_letters {

struct Options {
  std::string event_topic = "order.events";
  std::string row_topic = "orders_analytics";
  std::string dead_letter_suffix = "-dlq";
};

/// One dead letter, and its record in the dead-letter topic (the last one, if it was written several times).
struct IndexedLetter {
  ports::DeadLetterPosition place;
  ports::LogPosition record;
};

struct IndexedPart {
  std::vector<IndexedLetter> letters;
  std::uint64_t open = 0;  ///< How many letters of these topics nobody has handled.
};

/// Ordered by topic, partition, age of the topic and offset of the source. Keeps 24 bytes for each letter, of
/// up to `letters_max`; no payloads. Thread-safe; calls wait for each other until their deadline.
class DeadLetterIndex {
 public:
  static constexpr std::size_t kLettersMax = 1'000'000;

  DeadLetterIndex(ports::EventLog& log, ports::DeadLetterStore& book, Options options,
                  std::size_t letters_max = kLettersMax);

  /// Up to `count_max` letters of the source topics `topics` that come after `after` (nothing: from the first
  /// on). Those that are known to be handled are left out unless `handled_too`; whoever handled others just
  /// now may be seen late. Reads what is new first. Errors: kInvalid (`after` is no letter of these topics),
  /// kUnavailable (also while there is more to read than the deadline allows: a second call goes on from
  /// there).
  [[nodiscard]] base::Result<IndexedPart> list(const std::vector<std::string>& topics,
                                               const std::optional<ports::DeadLetterPosition>& after,
                                               std::size_t count_max, bool handled_too,
                                               base::Deadline deadline);

  /// The letter of that id; of several, after a topic was recreated, the newest. Reads what is new in its
  /// partition first. Errors: kUnavailable, as `list`.
  [[nodiscard]] base::Result<std::optional<IndexedLetter>> find(const DeadLetterId& id,
                                                                base::Deadline deadline);

  /// Notes that this process handled the letter.
  void mark_handled(const ports::DeadLetterPosition& place);

  /// How many letters of each source topic nobody has handled. Reads what is new first; records beyond
  /// `letters_max` letters count one each. Errors: kUnavailable, as `list`.
  [[nodiscard]] base::Result<std::map<std::string, std::uint64_t>> open_counts(base::Deadline deadline);

 private:
  struct Entry {
    std::int64_t offset = 0;         // of the source
    std::int64_t record_offset = 0;  // in the dead-letter topic
    std::int32_t record_partition = 0;
    std::uint16_t topic_number = 0;  // index of the source topic's topic id
    bool is_handled = false;
  };
  /// The letters of one partition of a source topic.
  struct Partition {
    std::vector<std::string> topic_ids;  // of the source topic, the oldest first
    std::vector<Entry> entries;          // by topic_number and offset
  };
  struct Topic {
    std::string name;                                 // of the source
    std::string topic_id;                             // of the dead-letter topic
    std::map<std::int32_t, ports::OffsetRange> read;  // by partition of the dead-letter topic: what was read
    std::map<std::int32_t, Partition> partitions;     // by partition of the source
    std::size_t letters = 0;                          // entries of all partitions
    std::size_t handled = 0;                          // of them
    std::uint64_t handled_in_store = 0;               // when the entries were compared with the store
    bool is_unsure = false;                           // letters came that the store may know already
    std::uint64_t unread = 0;                         // records for which there is no room

    [[nodiscard]] std::uint64_t open() const { return letters - handled + unread; }
  };
  using Lock = std::unique_lock<std::timed_mutex>;

  [[nodiscard]] base::Result<Lock> lock(base::Deadline deadline);
  [[nodiscard]] Topic* topic_of(std::string_view source);
  [[nodiscard]] base::Result<void> refresh(base::Deadline deadline);
  [[nodiscard]] base::Result<void> read_new(Topic& topic, std::optional<std::int32_t> only_partition,
                                            base::Deadline deadline);
  [[nodiscard]] base::Result<void> read_partition(Topic& topic, std::int32_t number, base::Deadline deadline);
  [[nodiscard]] base::Result<void> learn_handled(Topic& topic, std::uint64_t in_store,
                                                 base::Deadline deadline);
  void add(Topic& topic, std::int32_t record_partition, const DeadLetter& letter);
  /// False if it was known, or is not here.
  static bool mark(Topic& topic, const ports::DeadLetterPosition& place);
  static void remove_deleted(Topic& topic, std::int32_t record_partition, std::int64_t begin);
  static void remove_handled(Topic& topic);
  [[nodiscard]] static Entry* entry_of(Topic& topic, const ports::DeadLetterPosition& place);
  [[nodiscard]] IndexedLetter shown(const Topic& topic, std::int32_t partition, const Entry& entry) const;

  ports::EventLog& log_;
  ports::DeadLetterStore& book_;
  const Options options_;
  const std::size_t letters_max_;
  std::timed_mutex mutex_;
  std::vector<Topic> topics_;  // guarded by mutex_
};

}  // namespace millrace::dead_letters
