// Removes deleted orders from the warehouse when their period is over.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "base/stop.h"
#include "ports/clock.h"
#include "purge/tables.h"

namespace millrace::purge {

struct Options {
  std::chrono::milliseconds period{std::chrono::days(7)};  ///< From deleted_at to the purge.
  std::chrono::milliseconds interval{std::chrono::minutes(10)};
  std::size_t orders_max = 1'000;  ///< To one round.
  /// How long after an announcement an insert that did not see it may still come in: the sink's `not_after`,
  /// one insert's time for what was let in just before it, and `call_timeout` for the announcement itself.
  std::chrono::milliseconds insert_life{120'000};
  std::chrono::milliseconds call_timeout{20'000};
};

/// What one round did.
struct Round {
  std::size_t announced = 0;
  std::size_t purged = 0;
};

/// Readable at any time from any thread.
struct Stats {
  std::atomic<std::uint64_t> announced{0};
  std::atomic<std::uint64_t> purged{0};  ///< Orders removed for good.
  std::atomic<std::uint64_t> failures{0};
};

/// One round: removes orders that were announced longer than `insert_life` ago (older versions first, and the
/// tombstone when none of them is left), then announces those that have become due. An order so takes two
/// rounds.
/// Shape:    at most `orders_max` orders each.
/// Safety:   may end anywhere, run again at any time and several times at once: no deleted order is visible
/// in
///           between, and a version that is not older than the tombstone stays.
/// Errors:   as the tables'.   Threads: any.
[[nodiscard]] base::Result<Round> purge_once(PurgeTables& tables, const ports::Clock& clock,
                                             const Options& options);

/// One caller thread for `run`.
class Purger {
 public:
  Purger(PurgeTables& tables, const ports::Clock& clock, const Options& options)
      : tables_(tables), clock_(clock), options_(options) {}

  /// A round every `interval`, soon again while rounds are full; waits out errors with growing pauses. Ends
  /// with `stop`, after the call that is under way (at most `call_timeout`). Errors: kFatal (refused
  /// credentials) only.
  [[nodiscard]] base::Result<void> run(const base::StopSignal& stop);

  /// While resting no round begins; one that is under way goes on to its end. Any thread.
  void rest(bool resting) { resting_ = resting; }

  [[nodiscard]] const Stats& stats() const { return stats_; }

 private:
  PurgeTables& tables_;
  const ports::Clock& clock_;
  const Options options_;
  std::atomic<bool> resting_ = false;
  Stats stats_;
};

}  // namespace millrace::purge
