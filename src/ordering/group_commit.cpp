#include "ordering/group_commit.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/exceptions.h"
#include "ordering/batch.h"
#include "ordering/transaction_spans.h"

namespace millrace::ordering {
namespace {

constexpr std::chrono::milliseconds kPauseFirst{4};
constexpr std::chrono::milliseconds kPauseLongest{500};
/// A transaction with less would most likely be cut off, and its connection be lost with it.
constexpr std::chrono::milliseconds kTimeLeast{100};
constexpr int kConflictsMax =
    3;  // of one command: a key that another writer took a moment ago is there when looked for again

base::Error too_late(const Job& job, const base::Error& last) {
  return {base::ErrorKind::kUnavailable,
          fmt::format("the order store did not take the command in time ({}){}", last.message,
                      job.version_maybe_committed
                          ? "; it may have been carried out all the same: look before trying again"
                          : "; nothing was written, try again"),
          last.vendor_code};
}

/// A transaction ends at the shortest deadline of its jobs. So only jobs share one of which each has at least
/// half the time of the one that has most: no job has less than half of its time for its first attempt. All
/// jobs of a queue that moves are one group. Those with the least time first.
std::vector<std::vector<Job*>> groups_by_time_left(std::vector<Job*> jobs) {
  std::ranges::sort(jobs, std::ranges::greater(), [](const Job* job) { return job->deadline.moment(); });
  const auto now = base::monotonic_now();
  std::vector<std::vector<Job*>> groups;
  for (Job* job : jobs) {
    const bool fits = !groups.empty() &&
                      (job->deadline.moment() - now) * 2 >= groups.back().front()->deadline.moment() - now;
    if (!fits) groups.emplace_back();
    groups.back().push_back(job);
  }
  std::ranges::reverse(groups);
  // Within a transaction in the order in which they were submitted, which is that of their places in memory.
  for (std::vector<Job*>& group : groups) std::ranges::sort(group);
  return groups;
}

}  // namespace

/// A job that is tried again alone.
struct GroupCommit::Retry {
  Job* job;
  base::Error last;
  int conflicts = 0;
};

GroupCommit::GroupCommit(ports::OrderStore& store, const ports::Clock& clock,
                         std::function<void()> on_committed, telemetry::Tracer tracer)
    : store_(store), clock_(clock), on_committed_(std::move(on_committed)), tracer_(tracer) {}

void GroupCommit::execute(std::vector<Job>& jobs) {
  std::vector<Job*> in_time;
  in_time.reserve(jobs.size());
  for (Job& job : jobs) {
    if (job.deadline.left() < kTimeLeast)
      job.answer(
          base::unavailable("the command waited too long in the queue; nothing was written, try again"));
    else
      in_time.push_back(&job);
  }
  std::vector<Retry> left;
  for (const std::vector<Job*>& batch : groups_by_time_left(std::move(in_time))) {
    const auto failure = attempt(batch);
    if (!failure) continue;
    if (batch.size() > 1)
      spdlog::debug("ordering: a batch of {} is tried again one by one: {}", batch.size(),
                    failure->error.message);
    for (Job* job : batch) {
      Retry retry{.job = job, .last = failure->error};
      // A single command that failed for a reason of its own will fail again.
      if (batch.size() == 1 && is_final(retry))
        job->answer(std::unexpected(retry.last));
      else
        left.push_back(std::move(retry));
    }
  }
  try_one_by_one(left);
}

void GroupCommit::try_one_by_one(std::vector<Retry>& left) {
  base::Backoff backoff(kPauseFirst, kPauseLongest);
  while (!left.empty()) {
    std::this_thread::sleep_for(backoff.next());
    bool away = false;
    std::erase_if(left, [&](Retry& retry) {
      if (retry.job->deadline.left() < kTimeLeast) {
        retry.job->answer(std::unexpected(too_late(*retry.job, retry.last)));
        return true;
      }
      if (away) return false;
      auto failure = attempt({&retry.job, 1});
      if (!failure) return true;
      away = failure->away;
      retry.last = std::move(failure->error);
      if (!is_final(retry)) return false;
      retry.job->answer(std::unexpected(retry.last));
      return true;
    });
  }
}

bool GroupCommit::is_final(Retry& retry) {
  if (retry.last.kind == base::ErrorKind::kUnavailable) return false;
  return retry.last.kind != base::ErrorKind::kConflict || ++retry.conflicts >= kConflictsMax;
}

std::optional<GroupCommit::Failure> GroupCommit::attempt(std::span<Job* const> jobs) {
  std::optional<Failure> failure;
  std::optional<TransactionSpans> spans;
  const auto thrown = base::exception_of([&] {
    spans.emplace(tracer_, jobs);
    failure = try_transaction(jobs, *spans);
  });
  if (thrown) {
    spdlog::error("ordering: a transaction of {} commands ended with an exception: {}", jobs.size(), *thrown);
    failure = Failure{.error = {base::ErrorKind::kFatal, fmt::format("an exception: {}", *thrown), 0}};
  }
  if (failure && spans) spans->end_all(failure->error);
  return failure;
}

/// Carries the jobs out in one transaction and answers each of them; or answers none and says what went
/// wrong. After the commit nothing throws.
std::optional<GroupCommit::Failure> GroupCommit::try_transaction(std::span<Job* const> jobs,
                                                                 TransactionSpans& spans) {
  const base::Deadline deadline =
      std::ranges::min(jobs, {}, [](const Job* job) { return job->deadline.moment(); })->deadline;
  auto transaction = store_.begin(deadline);
  if (!transaction) return Failure{.error = std::move(transaction).error(), .away = true};
  Batch batch(jobs);
  if (auto loaded = batch.load(**transaction); !loaded) return Failure{.error = std::move(loaded).error()};
  batch.decide(clock_.now());
  if (batch.has_writes()) {
    if (auto written = batch.write(**transaction); !written)
      return Failure{.error = std::move(written).error()};
    // The answer of the commit may be what is lost. The repeat looks at the order under its row lock, which
    // this transaction, if it still lives, holds until it is decided.
    for (std::size_t i = 0; i < jobs.size(); ++i)
      if (batch.result(i) && batch.result(i)->changed)
        jobs[i]->version_maybe_committed = batch.result(i)->order.version;
    if (auto committed = (*transaction)->commit(); !committed)
      return Failure{.error = std::move(committed).error()};
  }
  transaction->reset();
  spans.end_each([&](std::size_t i) { return batch.result(i) ? nullptr : &batch.result(i).error(); });
  if (batch.has_events() && on_committed_) {
    const auto thrown = base::exception_of(on_committed_);
    if (thrown) spdlog::error("ordering: the relay could not be told of a commit: {}", *thrown);
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i]->answer(std::move(batch.result(i)));
  return std::nullopt;
}

}  // namespace millrace::ordering
