#include "tools/dispatcher.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace millrace::tools {

using base::Deadline;
using base::ErrorKind;
using base::Result;
using ordering::Outcome;
using Clock = Deadline::Clock;

std::chrono::milliseconds elapsed_since(Clock::time_point moment) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - moment);
}

/// Answers on their way from the order service's threads to the dispatching one.
struct Dispatcher::Answers {
  std::mutex mutex;
  std::condition_variable arrived;
  std::vector<std::pair<std::size_t, Result<Outcome>>> list;  // guarded by mutex

  void put(std::size_t task, Result<Outcome> outcome) {
    {
      const std::lock_guard lock(mutex);
      list.emplace_back(task, std::move(outcome));
    }
    arrived.notify_one();
  }
  std::vector<std::pair<std::size_t, Result<Outcome>>> take(Deadline deadline) {
    std::unique_lock lock(mutex);
    arrived.wait_until(lock, deadline.moment(), [this] { return !list.empty(); });
    return std::exchange(list, {});
  }
};

Dispatcher::Dispatcher(std::string work, const DispatchOptions& options, SubmitCommand submit,
                       const base::StopSignal& stop)
    : work_(std::move(work)),
      options_(options),
      submit_(std::move(submit)),
      stop_(stop),
      backoff_(options.retry_first, options.retry_longest),
      answers_(std::make_shared<Answers>()) {}

Result<bool> Dispatcher::run(std::size_t tasks, const MakeCommand& make_command, const OnAnswer& on_answer,
                             const std::function<void()>& on_tick) {
  std::size_t next = 0;
  std::deque<std::size_t> again;
  std::size_t in_flight = 0;
  Result<void> outcome;
  auto pause_until = Clock::now();
  auto success_at = Clock::now();
  for (;;) {
    const bool stopping = !outcome || stop_.requested();
    while (outcome && !stop_.requested() && in_flight < options_.in_flight_max &&
           Clock::now() >= pause_until && (!again.empty() || next < tasks)) {
      std::size_t task = next;
      if (again.empty()) {
        ++next;
      } else {
        task = again.front();
        again.pop_front();
      }
      if (in_flight++ == 0) answered_at_ = Clock::now();
      submit_(make_command(task),
              [answers = answers_, task](Result<Outcome> answer) { answers->put(task, std::move(answer)); });
    }
    if (in_flight == 0) {
      if (!outcome) return std::unexpected(std::move(outcome).error());
      if (again.empty() && next == tasks) return true;
      if (stopping) return false;
      stop_.wait_for(std::chrono::ceil<std::chrono::milliseconds>(pause_until - Clock::now()));
      continue;
    }
    auto answers = answers_->take(Deadline::in(std::min(options_.progress_interval, options_.answer_max)));
    if (!answers.empty()) answered_at_ = Clock::now();
    for (auto& [task, answer] : answers) {
      --in_flight;
      if (!answer && answer.error().kind == ErrorKind::kUnavailable) {
        again.push_back(task);
        if (Clock::now() >= pause_until) pause_until = Clock::now() + backoff_.next();
        const auto limit =
            succeeded_ ? options_.outage_max : std::min(options_.start_max, options_.outage_max);
        waiting_for_ = answer.error().message;
        if (outcome && elapsed_since(success_at) > limit)
          outcome = base::with_context(
              succeeded_
                  ? fmt::format("the order service stayed unavailable; run the {} again to continue", work_)
                  : "nothing was done",
              std::move(answer).error());
        continue;
      }
      success_at = Clock::now();
      succeeded_ = true;
      waiting_for_.clear();
      backoff_.reset();
      if (auto taken = on_answer(task, std::move(answer)); !taken && outcome) outcome = std::move(taken);
    }
    if (answers.empty() && elapsed_since(answered_at_) > options_.answer_max)
      return base::fatal(
          fmt::format("the order service does not answer; restart it and run the {} again to go on", work_));
    on_tick();
  }
}

}  // namespace millrace::tools
