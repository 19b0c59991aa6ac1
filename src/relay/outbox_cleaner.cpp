#include "relay/outbox_cleaner.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "base/backoff.h"

namespace millrace::relay {
namespace {

constexpr std::chrono::milliseconds kBackoffFirst{1'000};
// Between full portions: removing millions of rows must not take the server's whole strength.
constexpr std::chrono::milliseconds kPortionPause{20};

}  // namespace

void OutboxCleaner::run(const base::StopSignal& stop) {
  base::Backoff backoff(std::min(kBackoffFirst, options_.retry_max), options_.retry_max);
  while (!stop.requested()) {
    const auto removed = outbox_.remove_processed(clock_.now() - options_.retention, options_.rows_max,
                                                  base::Deadline::in(options_.call_timeout));
    if (!removed) {
      ++stats_.failures;
      if (outage_.should_log(removed.error()))
        spdlog::warn(
            "outbox clean-up: {}; processed rows stay in the outbox until this is mended, delivery "
            "goes on",
            removed.error().message);
      stop.wait_for(backoff.next());
      continue;
    }
    backoff.reset();
    if (const auto lasted = outage_.over())
      spdlog::info("outbox clean-up: resumed after {} s", lasted->count());
    stats_.rows_removed += *removed;
    // A full portion means that there is more.
    stop.wait_for(*removed < options_.rows_max ? options_.interval : kPortionPause);
  }
}

}  // namespace millrace::relay
