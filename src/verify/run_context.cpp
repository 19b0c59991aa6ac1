#include "verify/run_context.h"

#include <string>

#include "base/stop.h"

namespace millrace::verify {
namespace {

constexpr std::chrono::milliseconds kRetryFirst{100};
constexpr std::chrono::milliseconds kRetryMax{3'000};
constexpr std::chrono::milliseconds kOpenTimeout{10'000};

}  // namespace

base::Result<std::unique_ptr<ports::SqlSnapshot>> RunContext::open_snapshot() const {
  return reader_.open_snapshot(base::Deadline::in(kOpenTimeout));
}

base::Result<void> RunContext::check_stop() const {
  if (stopped()) return base::unavailable("the verification was stopped before it had an answer");
  return {};
}

base::Result<void> RunContext::pause(std::chrono::milliseconds span) const {
  static const base::StopSignal never;
  (options_.stop != nullptr ? *options_.stop : never).wait_for(span);
  return check_stop();
}

base::Result<void> RunContext::retrying(const std::function<base::Result<void>()>& attempt) {
  base::Backoff backoff(kRetryFirst, kRetryMax);
  std::optional<base::Deadline> deadline;
  while (true) {
    base::Result<void> outcome = check_stop();
    if (outcome) outcome = attempt();
    if (outcome || outcome.error().kind != base::ErrorKind::kUnavailable || gave_up_ || stopped())
      return outcome;
    if (!deadline) deadline = base::Deadline::in(options_.patience);
    const std::chrono::milliseconds span = backoff.next();
    if (span > deadline->left()) {
      gave_up_ = true;
      return outcome;
    }
    MILLRACE_TRY(pause(span));
  }
}

void RunContext::report_progress(std::string_view doing, std::uint64_t rows, std::uint64_t candidates) const {
  if (progress_) progress_({.doing = std::string(doing), .rows = rows, .candidates = candidates});
}

}  // namespace millrace::verify
