// Removes outbox rows that were processed long ago.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/outage_logger.h"
#include "base/result.h"
#include "base/stop.h"
#include "ports/clock.h"
#include "ports/outbox.h"

namespace millrace::relay {

struct CleanerOptions {
  std::chrono::milliseconds retention{24 * 3'600'000};  ///< Processed rows older than this are removed.
  std::chrono::milliseconds interval{10'000};           ///< Between rounds that found no more to remove.
  std::chrono::milliseconds retry_max{300'000};         ///< The longest pause after failures.
  std::chrono::milliseconds call_timeout{10'000};
  std::size_t rows_max = 1'000;  ///< At a time.
};

/// Readable at any time from any thread.
struct CleanerStats {
  std::atomic<std::uint64_t> rows_removed{0};
  std::atomic<std::uint64_t> failures{0};
};

/// A task of its own, without a lease: whatever holds it up (a lock, a missing right, a foreign key) holds up
/// nothing else. Several may run at once. One caller for `run`.
class OutboxCleaner {
 public:
  OutboxCleaner(ports::Outbox& outbox, const ports::Clock& clock, CleanerOptions options)
      : outbox_(outbox), clock_(clock), options_(options) {}

  /// Removes until `stop`. A failure is logged once an outage, counted, and tried again with a back-off.
  void run(const base::StopSignal& stop);

  [[nodiscard]] const CleanerStats& stats() const { return stats_; }

 private:
  ports::Outbox& outbox_;
  const ports::Clock& clock_;
  const CleanerOptions options_;
  base::OutageLogger outage_{std::chrono::hours(1)};
  CleanerStats stats_;
};

}  // namespace millrace::relay
