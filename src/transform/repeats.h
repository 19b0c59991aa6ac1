// Which records of an input partition are repeats: a pure function of the log.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

namespace millrace::transform {

enum class Verdict {
  kKeep,
  kRepeat,       ///< Its event id is one of the last W.
  kFormerOwner,  ///< Its epoch is lower than the highest seen: sent late by a relay that had lost the lock.
};

/// The last W distinct event ids of one partition, by where each came last. A record of a former owner is
/// dropped and is no match for later ones (it may be one that was never marked). Ids are counted and not
/// records, for of the rows that a relay may send again any leading part may be appended any number of times
/// before the rest: the records between two copies are without a bound, their events are not. Checked in the
/// model relay.cpp: W must be at least twice the relay's bound on unmarked rows in flight.
///
/// To make the same window again after a restart: take in the records from the `start_offset` of then up to
/// the position. The highest epoch before them is not needed: the record at `start_offset` was of no former
/// owner, so its own epoch was the highest.
class RepeatWindow {
 public:
  explicit RepeatWindow(std::size_t ids_max) : ids_max_(ids_max) {}

  /// Takes the next record of the log in and judges it.
  Verdict take(std::int64_t offset, std::uint64_t event_id, std::uint64_t epoch);

  /// Where the oldest of the ids came last; nothing while there are none.
  [[nodiscard]] std::optional<std::int64_t> start_offset() const;

 private:
  struct Entry {
    std::uint64_t event_id;
    std::int64_t offset;
  };
  [[nodiscard]] bool came_again(const Entry& entry) const;

  std::size_t ids_max_;
  std::uint64_t epoch_ = 0;                                       // the highest so far
  std::deque<Entry> entries_;                                     // the oldest one's id did not come again
  std::unordered_map<std::uint64_t, std::int64_t> last_offsets_;  // of each id
};

}  // namespace millrace::transform
