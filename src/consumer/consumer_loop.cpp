#include "consumer/consumer_loop.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <spdlog/spdlog.h>

#include "base/backoff.h"

namespace millrace::consumer {
namespace {

constexpr std::chrono::milliseconds kBackoffFirst{50};
// Also the longest that an outage of the log or the warehouse is felt after its end.
constexpr std::chrono::milliseconds kBackoffMax{2'000};
// While the stage runs: a broker that does not answer must not hold up those that do.
constexpr std::chrono::milliseconds kTopicCheckTimeout{1'000};
constexpr std::chrono::minutes kReminder{5};

}  // namespace

ConsumerLoop::ConsumerLoop(ports::EventLog& log, Stage& stage, LoopStats& stats, LoopOptions options)
    : log_(log),
      stage_(stage),
      stats_(stats),
      options_(std::move(options)),
      outage_(kReminder, &stats_.health) {}

base::Result<void> ConsumerLoop::follow_assignments(ports::GroupMember& member) {
  MILLRACE_TRY_ASSIGN(const auto assigned, member.assignments(soon()));
  std::erase_if(open_, [&](const ports::Assignment& open) {
    if (std::ranges::find(assigned, open) != assigned.end()) return false;
    stage_.close(open.partition);
    return true;
  });
  bool checked = false;
  for (const ports::Assignment& assignment : assigned) {
    if (std::ranges::find(open_, assignment) != open_.end()) continue;
    if (!std::exchange(checked, true)) MILLRACE_TRY(check_topics(soon()));
    MILLRACE_TRY(stage_.open(assignment));
    open_.push_back(assignment);
  }
  stats_.partitions = open_.size();
  return {};
}

base::Result<void> ConsumerLoop::check_topics(base::Deadline deadline) {
  MILLRACE_TRY(stage_.check_topics(deadline));
  next_topic_check_ = base::Deadline::in(options_.topic_check_interval);
  return {};
}

/// Also what notices an outage of the log while nothing is to be done.
base::Result<void> ConsumerLoop::check_topics_when_due() {
  if (!next_topic_check_.passed()) return {};
  auto checked = check_topics(base::Deadline::in(kTopicCheckTimeout));
  log_is_unavailable_ = !checked;
  if (checked || checked.error().kind != base::ErrorKind::kUnavailable) return checked;
  next_topic_check_ = base::Deadline::in(options_.topic_check_interval);
  if (outage_.should_log(checked.error()))
    spdlog::warn("{}: {}; retrying ({} s so far)", options_.stage, checked.error().message,
                 outage_.lasting().count());
  return {};
}

void ConsumerLoop::note_success() {
  opened_before_ = false;
  if (const auto lasted = outage_.over())
    spdlog::info("{}: resumed after {} s", options_.stage, lasted->count());
}

base::Result<void> ConsumerLoop::serve(const base::StopSignal& stop) {
  open_.clear();
  MILLRACE_TRY(stage_.reset());
  MILLRACE_TRY(check_topics(soon()));
  log_is_unavailable_ = false;
  MILLRACE_TRY_ASSIGN(const auto member, log_.join(options_.group, options_.topic, soon()));
  while (!stop.requested()) {
    MILLRACE_TRY(check_topics_when_due());
    MILLRACE_TRY(follow_assignments(*member));
    if (open_.empty()) {
      stop.wait_for(options_.idle_wait);
      continue;
    }
    MILLRACE_TRY_ASSIGN(const bool moved, stage_.step(*member, stop));
    if (moved) log_is_unavailable_ = false;
    if (!log_is_unavailable_) note_success();
  }
  return stage_.finish(*member);
}

base::Result<void> ConsumerLoop::run(const base::StopSignal& stop) {
  base::Backoff backoff(kBackoffFirst, kBackoffMax);
  while (!stop.requested()) {
    const std::uint64_t done_before = stage_.work_done();
    auto served = serve(stop);
    if (served) return {};
    if (served.error().kind == base::ErrorKind::kFatal) return served;
    ++stats_.restarts;
    if (stage_.work_done() > done_before) backoff.reset();
    if (stop.requested()) break;
    opened_before_ |= !open_.empty();
    if (!stage_.is_expected(served.error()) && outage_.should_log(served.error()))
      spdlog::warn("{}: {}; retrying from {} ({} s so far)", options_.stage, served.error().message,
                   options_.resumes_from, outage_.lasting().count());
    stop.wait_for(backoff.next());
  }
  return {};
}

}  // namespace millrace::consumer
