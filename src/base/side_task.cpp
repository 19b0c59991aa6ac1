#include "base/side_task.h"

#include <utility>

#include "base/exceptions.h"
#include "base/runtime.h"

namespace millrace::base {

SideTask::SideTask(std::function<Result<void>()> given) {
  auto work = [given = std::move(given)] { return without_exceptions(given); };
  if (replaced_runtime == nullptr) {
    future_ = std::async(std::launch::async, std::move(work));
    return;
  }
  auto task = std::make_shared<std::packaged_task<Result<void>()>>(std::move(work));
  future_ = task->get_future();
  replaced_runtime->start([task] { (*task)(); });
}

SideTask::~SideTask() {
  if (future_.valid()) wait();
}

bool SideTask::ended() const {
  return future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

void SideTask::wait() const {
  if (replaced_runtime != nullptr)
    replaced_runtime->wait_until(Runtime::Moment::max(), [this] { return ended(); });
  future_.wait();
}

Result<void> SideTask::outcome() {
  wait();
  return future_.get();
}

}  // namespace millrace::base
