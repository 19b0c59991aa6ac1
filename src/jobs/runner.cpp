#include "jobs/runner.h"

#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/exceptions.h"

namespace millrace::jobs {
namespace {

constexpr std::chrono::milliseconds kBackoffFirst{200};
constexpr std::chrono::milliseconds kBackoffLongest{5'000};
constexpr std::chrono::milliseconds kEndPollInterval{20};

}  // namespace

/// The lease is used by the handler's thread (save) and by the runner's (reports): one at a time.
class Runner::LiveAttempt final : public Attempt {
 public:
  LiveAttempt(ports::JobLease& lease, const ports::Job& job, const RunnerOptions& options)
      : lease_(lease), id_(job.id), options_(options), checkpoint_(job.checkpoint), line_(job.progress) {}

  const std::string& checkpoint() const override { return checkpoint_; }
  base::Result<void> save(std::string checkpoint) override {
    const std::lock_guard lock(lease_mutex_);
    MILLRACE_TRY(lease_.save(id_, checkpoint, base::Deadline::in(options_.call_timeout)));
    checkpoint_ = std::move(checkpoint);
    return {};
  }
  void set_progress(std::string line) override {
    const std::lock_guard lock(line_mutex_);
    line_ = std::move(line);
  }
  const base::StopSignal& stop() const override { return stop_; }

  [[nodiscard]] std::string line() const {
    const std::lock_guard lock(line_mutex_);
    return line_;
  }
  base::Result<bool> report() {
    const std::string line = this->line();
    const std::lock_guard lock(lease_mutex_);
    return lease_.report(id_, line, base::Deadline::in(options_.call_timeout));
  }
  base::Result<void> finish(ports::JobState state, const std::string& line, const std::string& error) {
    const std::lock_guard lock(lease_mutex_);
    return lease_.finish(id_, state, line, error, base::Deadline::in(options_.call_timeout));
  }
  void request_stop() { stop_.request(); }

  bool cancel_requested = false;  ///< Of the runner's thread, as the next one.
  bool is_too_late_to_cancel = false;

 private:
  ports::JobLease& lease_;
  const std::uint64_t id_;
  const RunnerOptions& options_;
  base::StopSignal stop_;
  std::string checkpoint_;
  std::mutex lease_mutex_;
  mutable std::mutex line_mutex_;
  std::string line_;  // guarded by line_mutex_
};

/// Runs `work` on a thread of its own and reports beside it; ends when `work` does. Errors: the store's,
/// after which the right to execute the job is given back.
template <class Work>
base::Result<void> Runner::beside_reports(LiveAttempt& attempt, const base::StopSignal& stop, Work work) {
  std::atomic<bool> ended = false;
  base::Result<void> reported = {};
  std::thread thread([&] {
    work();
    ended = true;
  });
  auto next_report = base::Deadline::in(options_.report_interval);
  while (!ended) {
    if (stop.requested()) attempt.request_stop();
    if (reported && next_report.passed()) {
      const auto cancel = attempt.report();
      if (!cancel) {
        reported = std::unexpected(cancel.error());
        attempt.request_stop();
      } else if (*cancel && !attempt.is_too_late_to_cancel) {
        attempt.cancel_requested = true;
        attempt.request_stop();
      }
      next_report = base::Deadline::in(options_.report_interval);
    }
    std::this_thread::sleep_for(kEndPollInterval);
  }
  thread.join();
  return reported;
}

base::Result<void> Runner::execute(ports::JobLease& lease, const ports::Job& given, Handler& handler,
                                   const base::StopSignal& stop) {
  ports::Job job = given;
  bool is_too_late_to_cancel = false;
  base::Backoff pauses(options_.pause_first, options_.pause_longest);
  spdlog::info("jobs: job {} ({}) {}", job.id, job.kind, job.checkpoint.empty() ? "begins" : "resumes");
  while (!stop.requested()) {
    LiveAttempt attempt(lease, job, options_);
    attempt.is_too_late_to_cancel = is_too_late_to_cancel;
    base::Result<std::string> outcome = base::unavailable("not run");
    MILLRACE_TRY(beside_reports(attempt, stop, [&] {
      outcome = base::without_exceptions([&] { return handler.run(job, attempt); });
    }));
    if (attempt.checkpoint() != job.checkpoint) pauses.reset();
    job.checkpoint = attempt.checkpoint();
    job.progress = attempt.line();
    if (outcome) {
      spdlog::info("jobs: job {} ({}) is done: {}", job.id, job.kind, *outcome);
      return attempt.finish(ports::JobState::kDone, *outcome, "");
    }
    // The right to carry it out is gone; whoever has it goes on from the checkpoint.
    if (outcome.error().kind == base::ErrorKind::kConflict) return std::unexpected(outcome.error());
    if (outcome.error().kind != base::ErrorKind::kUnavailable) {
      spdlog::error("jobs: job {} ({}) failed: {}", job.id, job.kind, outcome.error().message);
      return attempt.finish(ports::JobState::kFailed, job.progress, base::public_message(outcome.error()));
    }
    if (stop.requested()) break;
    if (attempt.cancel_requested) {
      LiveAttempt undoing(lease, job, options_);
      undoing.is_too_late_to_cancel = true;
      base::Result<bool> cancelled = false;
      MILLRACE_TRY(beside_reports(undoing, stop, [&] { cancelled = handler.cancel(job, undoing); }));
      if (cancelled && *cancelled) {
        spdlog::info("jobs: job {} ({}) is cancelled", job.id, job.kind);
        return undoing.finish(ports::JobState::kCancelled, job.progress, "");
      }
      is_too_late_to_cancel = cancelled && !*cancelled;
      if (!cancelled)
        spdlog::warn("jobs: cancelling job {} ({}): {}", job.id, job.kind, cancelled.error().message);
      if (is_too_late_to_cancel) continue;
    } else {
      spdlog::warn("jobs: job {} ({}): {}; retrying", job.id, job.kind, outcome.error().message);
    }
    stop.wait_for(pauses.next());
  }
  return {};
}

base::Result<void> Runner::serve(ports::JobLease& lease, const base::StopSignal& stop) {
  while (!stop.requested()) {
    MILLRACE_TRY_ASSIGN(const auto job, lease.running(base::Deadline::in(options_.call_timeout)));
    outage_.over();
    if (!job) {
      wake_.wait_for(options_.poll_interval);
      continue;
    }
    const auto handler = handlers_.find(job->kind);
    if (handler == handlers_.end()) {
      MILLRACE_TRY(lease.finish(job->id, ports::JobState::kFailed, job->progress,
                                fmt::format("this program knows no job of kind '{}'", job->kind),
                                base::Deadline::in(options_.call_timeout)));
      continue;
    }
    MILLRACE_TRY(execute(lease, *job, *handler->second, stop));
  }
  return {};
}

base::Result<void> Runner::run(const base::StopSignal& stop) {
  base::Backoff pauses(kBackoffFirst, kBackoffLongest);
  while (!stop.requested()) {
    const auto lease = store_.acquire(base::Deadline::in(options_.call_timeout));
    const auto served = lease ? serve(**lease, stop) : base::Result<void>(std::unexpected(lease.error()));
    if (served) return {};
    if (served.error().kind == base::ErrorKind::kFatal) return served;
    if (lease) pauses.reset();
    // One process has the right; the others wait for it, and there is nothing to complain of.
    if (!lease && lease.error().kind == base::ErrorKind::kConflict) {
      outage_.over();
      stop.wait_for(options_.standby_interval);
      continue;
    }
    if (outage_.should_log(served.error())) spdlog::warn("jobs: {}; retrying", served.error().message);
    stop.wait_for(pauses.next());
  }
  return {};
}

}  // namespace millrace::jobs
