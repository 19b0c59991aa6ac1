// A call that runs beside its caller.
#pragma once

#include <functional>
#include <future>
#include <memory>

#include "base/result.h"

namespace millrace::base {

/// Runs `work` at once on a thread of its own. One caller; waits for the end of `work` when destroyed.
class SideTask {
 public:
  explicit SideTask(std::function<Result<void>()> work);
  ~SideTask();
  SideTask(SideTask&&) noexcept = default;
  SideTask& operator=(SideTask&&) = delete;
  SideTask(const SideTask&) = delete;
  SideTask& operator=(const SideTask&) = delete;

  [[nodiscard]] bool ended() const;
  void wait() const;
  /// What `work` returned, once it has; kFatal if it threw. May be asked for once.
  [[nodiscard]] Result<void> outcome();

 private:
  std::future<Result<void>> future_;
};

}  // namespace millrace::base
