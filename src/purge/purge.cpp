#include "purge/purge.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "base/backoff.h"

namespace millrace::purge {
namespace {

constexpr std::chrono::milliseconds kBackoffFirst{1'000};
constexpr std::chrono::milliseconds kPauseBetweenFullRounds{1'000};
constexpr std::chrono::milliseconds kRestPause{500};

}  // namespace

base::Result<Round> purge_once(PurgeTables& tables, const ports::Clock& clock, const Options& options) {
  const auto soon = [&] { return base::Deadline::in(options.call_timeout); };
  Round round;
  MILLRACE_TRY_ASSIGN(const auto ready, tables.announced(options.insert_life, options.orders_max, soon()));
  if (!ready.empty()) {
    // Whoever sees the tombstone gone must not find what it hid: the second step only after the first is
    // done.
    MILLRACE_TRY(tables.delete_older_versions(ready, soon()));
    MILLRACE_TRY(tables.delete_tombstones(ready, soon()));
    round.purged = ready.size();
  }
  MILLRACE_TRY_ASSIGN(const auto due, tables.due(clock.now() - options.period, options.orders_max, soon()));
  if (!due.empty()) {
    MILLRACE_TRY(tables.announce(due, soon()));
    round.announced = due.size();
  }
  return round;
}

base::Result<void> Purger::run(const base::StopSignal& stop) {
  base::Backoff backoff(std::min(kBackoffFirst, options_.interval), options_.interval);
  while (!stop.requested()) {
    if (resting_) {
      stop.wait_for(std::min(kRestPause, options_.interval));
      continue;
    }
    const auto round = purge_once(tables_, clock_, options_);
    if (!round) {
      if (round.error().kind == base::ErrorKind::kFatal) return std::unexpected(round.error());
      ++stats_.failures;
      spdlog::warn("purge: {}; retrying", round.error().message);
      stop.wait_for(backoff.next());
      continue;
    }
    backoff.reset();
    stats_.announced += round->announced;
    stats_.purged += round->purged;
    if (round->purged > 0) spdlog::info("purge: removed {} deleted orders for good", round->purged);
    const bool full = round->announced >= options_.orders_max || round->purged >= options_.orders_max;
    stop.wait_for(full ? std::min(kPauseBetweenFullRounds, options_.interval) : options_.interval);
  }
  return {};
}

}  // namespace millrace::purge
