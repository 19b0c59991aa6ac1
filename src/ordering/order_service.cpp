#include "ordering/order_service.h"

#include <mutex>
#include <thread>
#include <utility>

#include <spdlog/spdlog.h>

#include "base/assert.h"
#include "base/bounded_queue.h"
#include "base/exceptions.h"
#include "base/uuid.h"
#include "ordering/group_commit.h"

namespace millrace::ordering {
namespace {

domain::OrderId order_id_of(const Command& command, base::UtcTime now) {
  if (const auto* record = std::get_if<ImportOrder>(&command)) return record->order.image.order_id;
  if (const auto* change = std::get_if<ChangeOrder>(&command)) return change->order_id;
  if (const auto* payment = std::get_if<SettlePayment>(&command)) return payment->order_id;
  if (const auto* remove = std::get_if<DeleteOrder>(&command)) return remove->order_id;
  if (const auto* backfill = std::get_if<BackfillOrder>(&command)) return backfill->order_id;
  if (std::holds_alternative<PlaceOrder>(command)) return domain::OrderId(base::uuid_v7(now));
  return {};
}

/// Only for those that have no answer yet.
base::Error lost_to_exception(const Job& job) {
  return {base::ErrorKind::kFatal,
          job.version_maybe_committed
              ? "an exception ended the command, which may have been carried out all the same: look before "
                "trying again"
              : "an exception ended the command; nothing was written",
          0};
}

}  // namespace

class OrderService::Impl {
 public:
  Impl(ports::OrderStore& store, const ports::Clock& clock, Options options,
       std::function<void()> on_committed)
      : clock_(clock),
        options_(options),
        group_commit_(store, clock, std::move(on_committed), options.tracer),
        queue_(options.queue_commands_max) {
    MILLRACE_ASSERT(options_.writers >= 1 && options_.batch_commands_max >= 1);
    threads_.reserve(options_.writers);
    for (std::size_t i = 0; i < options_.writers; ++i) threads_.emplace_back([this] { work(); });
  }

  [[nodiscard]] std::size_t queued() const { return queue_.size(); }
  void submit(Command command, OnDone done) {
    const domain::OrderId id = order_id_of(command, clock_.now());
    Job job{.command = std::move(command),
            .done = std::move(done),
            .deadline = base::Deadline::in(options_.command_timeout),
            .order_id = id,
            .version_maybe_committed = {}};
    if (queue_.try_push(std::move(job))) return;
    job.answer(base::unavailable(
        "the order service has more commands waiting than it takes, or is stopping: try again"));
  }

  void stop() {
    queue_.close();
    const std::lock_guard lock(stop_mutex_);
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

 private:
  void work() {
    std::vector<Job> jobs;
    do {
      jobs.clear();
      const auto thrown = base::exception_of([&] {
        jobs = queue_.pop_some(options_.batch_commands_max, base::Deadline::in(std::chrono::minutes(1)));
        if (!jobs.empty()) group_commit_.execute(jobs);
      });
      if (!thrown) continue;
      spdlog::error("ordering: an exception in a writer: {}", *thrown);
      for (Job& job : jobs) job.answer(std::unexpected(lost_to_exception(job)));
    } while (!jobs.empty() || !queue_.drained());
  }

  const ports::Clock& clock_;
  const Options options_;
  GroupCommit group_commit_;
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
std::size_t OrderService::queued() const {
  return impl_->queued();
}
void OrderService::stop() {
  impl_->stop();
}

}  // namespace millrace::ordering
