// Which records of an input partition are repeats: a pure function of the log.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

namespace millrace::transform {

enum class Verdict {
  kKeep,
  kRepeat,       ///< Its event id stands among the last W records.
  kFormerOwner,  ///< Its epoch is lower than the highest seen: sent late by a relay that had lost the lock.
};

/// A window over the last W records of one partition. A record of a former owner is dropped and is no match
/// for later ones (it may be one that was never marked); a record without an id or epoch (a dead letter)
/// takes a place and matches nothing. Checked in the model relay.cpp: W must be at least twice the relay's
/// bound on unmarked rows in flight.
///
/// To make the same window again after a restart: construct it with the same W and the `start_epoch` of then,
/// and take in the last W records before the position. The start epoch is needed because the highest epoch
/// may have come before the window.
class RepeatWindow {
 public:
  explicit RepeatWindow(std::size_t records_max, std::uint64_t start_epoch = 0)
      : records_max_(records_max), start_epoch_(start_epoch), epoch_(start_epoch) {}

  /// Takes the next record of the log in and judges it.
  Verdict take(std::uint64_t event_id, std::uint64_t epoch);
  /// Takes in a record that carries no readable id or epoch.
  void take_unreadable();

  /// The highest epoch before the first record of the window.
  [[nodiscard]] std::uint64_t start_epoch() const { return start_epoch_; }

 private:
  struct Entry {
    std::optional<std::uint64_t> event_id;  // of a record that later ones may repeat
    std::uint64_t epoch_after;              // the highest epoch up to and with this record
  };
  void push(std::optional<std::uint64_t> event_id);

  std::size_t records_max_;
  std::uint64_t start_epoch_;
  std::uint64_t epoch_;
  std::deque<Entry> entries_;
  std::unordered_map<std::uint64_t, std::uint32_t> copies_;  // of each id in entries_
};

}  // namespace millrace::transform
