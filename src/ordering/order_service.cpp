#include "ordering/order_service.h"

#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/assert.h"
#include "base/backoff.h"
#include "base/bounded_queue.h"
#include "base/uuid.h"
#include "ordering/batch.h"

namespace millrace::ordering {
namespace {

constexpr std::chrono::milliseconds kPauseFirst{4};
constexpr std::chrono::milliseconds kPauseLongest{500};
constexpr int kConflictsMax =
    3;  // of one command: a key that another writer took a moment ago is there when looked for again

domain::OrderId order_id_of(const Command& command, base::UtcTime now) {
  if (const auto* record = std::get_if<RecordOrder>(&command)) return record->order.image.order_id;
  if (const auto* change = std::get_if<ChangeOrder>(&command)) return change->order_id;
  if (const auto* remove = std::get_if<DeleteOrder>(&command)) return remove->order_id;
  if (const auto* announce = std::get_if<AnnounceOrder>(&command)) return announce->order_id;
  if (std::holds_alternative<PlaceOrder>(command)) return domain::OrderId(base::uuid_v7(now));
  return {};
}

/// A job that is tried again alone.
struct Retry {
  Job* job;
  base::Error last;
  int conflicts = 0;
};

base::Error too_late(const Job& job, const base::Error& last) {
  return {base::ErrorKind::kUnavailable,
          fmt::format("the order store did not take the command in time ({}){}", last.message,
                      job.version_maybe_committed
                          ? "; it may have been carried out all the same: look before trying again"
                          : "; nothing was written, try again"),
          last.vendor_code};
}

}  // namespace

class OrderService::Impl {
 public:
  Impl(ports::OrderStore& store, const ports::Clock& clock, Options options,
       std::function<void()> on_committed)
      : store_(store),
        clock_(clock),
        options_(options),
        on_committed_(std::move(on_committed)),
        queue_(options.queue_commands_max) {
    MILLRACE_ASSERT(options_.writers >= 1 && options_.batch_commands_max >= 1);
    threads_.reserve(options_.writers);
    for (std::size_t i = 0; i < options_.writers; ++i) threads_.emplace_back([this] { work(); });
  }

  void submit(Command command, OnDone done) {
    const domain::OrderId id = order_id_of(command, clock_.now());
    Job job{.command = std::move(command),
            .done = std::move(done),
            .deadline = base::Deadline::in(options_.command_timeout),
            .order_id = id,
            .version_maybe_committed = {}};
    if (queue_.try_push(std::move(job))) return;
    job.done(base::unavailable(
        "the order service has more commands waiting than it takes, or is stopping: try again"));
  }

  void stop() {
    queue_.close();
    const std::lock_guard lock(stop_mutex_);
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

 private:
  /// What an attempt came to when it was not committed.
  struct Failure {
    base::Error error;
    bool away = false;  ///< No transaction could be begun at all.
  };

  void work() {
    while (true) {
      std::vector<Job> jobs =
          queue_.pop_some(options_.batch_commands_max, base::Deadline::in(std::chrono::minutes(1)));
      if (!jobs.empty()) carry_out(jobs);
      if (jobs.empty() && queue_.drained()) return;
    }
  }

  void carry_out(std::vector<Job>& jobs) {
    std::vector<Job*> batch;
    batch.reserve(jobs.size());
    for (Job& job : jobs) {
      if (job.deadline.passed()) {
        job.done(
            base::unavailable("the command waited too long in the queue; nothing was written, try again"));
      } else {
        batch.push_back(&job);
      }
    }
    if (batch.empty()) return;
    auto failure = attempt(batch);
    if (!failure) return;
    if (batch.size() > 1)
      spdlog::debug("ordering: a batch of {} is tried again one by one: {}", batch.size(),
                    failure->error.message);
    std::vector<Retry> left;
    left.reserve(batch.size());
    for (Job* job : batch) left.push_back({.job = job, .last = failure->error});
    // A single command that failed for a reason of its own will fail again.
    if (batch.size() == 1 && is_final(left.front())) return report(left.front());
    try_one_by_one(left);
  }

  void try_one_by_one(std::vector<Retry>& left) {
    base::Backoff backoff(kPauseFirst, kPauseLongest);
    while (!left.empty()) {
      std::this_thread::sleep_for(backoff.next());
      bool away = false;
      std::erase_if(left, [&](Retry& retry) {
        if (retry.job->deadline.passed()) {
          retry.job->done(std::unexpected(too_late(*retry.job, retry.last)));
          return true;
        }
        if (away) return false;
        auto failure = attempt({&retry.job, 1});
        if (!failure) return true;
        away = failure->away;
        retry.last = std::move(failure->error);
        if (!is_final(retry)) return false;
        report(retry);
        return true;
      });
    }
  }

  static bool is_final(Retry& retry) {
    if (retry.last.kind == base::ErrorKind::kUnavailable) return false;
    return retry.last.kind != base::ErrorKind::kConflict || ++retry.conflicts >= kConflictsMax;
  }

  static void report(Retry& retry) { retry.job->done(std::unexpected(retry.last)); }

  /// Carries the jobs out in one transaction and reports each of them; or reports none and says what went
  /// wrong.
  std::optional<Failure> attempt(std::span<Job* const> jobs) {
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
      if (auto committed = (*transaction)->commit(); !committed) {
        // The answer may be what was lost. The repeat looks at the order under its row lock, which this
        // transaction, if it still lives, holds until it is decided.
        for (std::size_t i = 0; i < jobs.size(); ++i)
          if (batch.result(i) && batch.result(i)->changed)
            jobs[i]->version_maybe_committed = batch.result(i)->order.version;
        return Failure{.error = std::move(committed).error()};
      }
    }
    transaction->reset();
    if (batch.has_events() && on_committed_) on_committed_();
    for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i]->done(std::move(batch.result(i)));
    return std::nullopt;
  }

  ports::OrderStore& store_;
  const ports::Clock& clock_;
  const Options options_;
  const std::function<void()> on_committed_;
  base::BoundedQueue<Job> queue_;
  std::mutex stop_mutex_;
  std::vector<std::thread> threads_;  // joined under stop_mutex_
};

OrderService::OrderService(ports::OrderStore& store, const ports::Clock& clock, Options options,
                           std::function<void()> on_committed)
    : impl_(std::make_unique<Impl>(store, clock, options, std::move(on_committed))) {}
OrderService::~OrderService() {
  stop();
}
void OrderService::submit(Command command, OnDone done) {
  impl_->submit(std::move(command), std::move(done));
}
void OrderService::stop() {
  impl_->stop();
}

}  // namespace millrace::ordering
