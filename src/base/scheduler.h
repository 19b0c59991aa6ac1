// The steady clock and waiting as the stages see them. A test may put a world of its own in their place, in
// which time is a number and every wait gives the turn to another stage; programs never do.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace millrace::base {

/// What a test implements to run stages on one thread under its own clock. Used by the thread that set it.
class Scheduler {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  virtual ~Scheduler() = default;
  [[nodiscard]] virtual Moment now() = 0;
  /// Lets others run until `ready` says so (true) or `until` has come (false).
  virtual bool wait_until(Moment until, const std::function<bool()>& ready) = 0;
  /// Runs `work` beside the caller, starting now or later.
  virtual void start(std::function<void()> work) = 0;
  /// For the jitter of pauses.
  [[nodiscard]] virtual std::uint64_t random_seed() = 0;
};

/// What this thread uses in place of the clock and of threads; null, as in every program, for the real ones.
inline constinit thread_local Scheduler* replaced_runtime = nullptr;

[[nodiscard]] inline Scheduler::Moment monotonic_now() {
  if (replaced_runtime != nullptr) [[unlikely]]
    return replaced_runtime->now();
  return std::chrono::steady_clock::now();
}

}  // namespace millrace::base
