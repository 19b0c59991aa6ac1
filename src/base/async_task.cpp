#include "base/async_task.h"

#include <utility>

#include "base/exceptions.h"
#include "base/scheduler.h"

namespace millrace::base {

AsyncTask::AsyncTask(std::function<Result<void>()> given) {
  auto work = [given = std::move(given)] { return without_exceptions(given); };
  if (replaced_runtime == nullptr) {
    future_ = std::async(std::launch::async, std::move(work));
    return;
  }
  auto task = std::make_shared<std::packaged_task<Result<void>()>>(std::move(work));
  future_ = task->get_future();
  replaced_runtime->start([task] { (*task)(); });
}

AsyncTask::~AsyncTask() {
  if (future_.valid()) wait();
}

bool AsyncTask::ended() const {
  return future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

void AsyncTask::wait() const {
  if (replaced_runtime != nullptr)
    replaced_runtime->wait_until(Scheduler::Moment::max(), [this] { return ended(); });
  future_.wait();
}

Result<void> AsyncTask::outcome() {
  wait();
  return future_.get();
}

}  // namespace millrace::base
