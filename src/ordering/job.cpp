#include "ordering/job.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "base/exceptions.h"

namespace millrace::ordering {

void Job::answer(base::Result<Outcome> outcome) {
  const OnDone once = std::exchange(done, nullptr);
  if (!once) return;
  const auto thrown = base::exception_of([&] { once(std::move(outcome)); });
  if (thrown) spdlog::error("ordering: the answer to a command threw an exception: {}", *thrown);
}

}  // namespace millrace::ordering
