// Asking threads to stop, and sleeping in a way that a stop request ends at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/scheduler.h"

namespace millrace::base {

/// Thread-safe. Once requested, a stop is never taken back.
class StopSignal {
 public:
  void request() {
    {
      const std::lock_guard lock(mutex_);
      requested_ = true;
    }
    changed_.notify_all();
  }
  [[nodiscard]] bool requested() const {
    const std::lock_guard lock(mutex_);
    return requested_;
  }
  /// Waits for `span` or for the stop request; true if a stop was requested.
  bool wait_for(std::chrono::milliseconds span) const {
    if (replaced_runtime != nullptr) [[unlikely]]
      return replaced_runtime->wait_until(monotonic_now() + span, [this] { return requested(); });
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, span, [this] { return requested_; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool requested_ = false;  // guarded by mutex_
};

/// A bell between threads: `ring` wakes the sleeper, or makes its next sleep end at once. Thread-safe.
class WakeEvent {
 public:
  void notify() {
    {
      const std::lock_guard lock(mutex_);
      rung_ = true;
    }
    changed_.notify_all();
  }
  /// Waits for a ring (one that came before the call counts) or for `span`; true if it rang.
  bool wait_for(std::chrono::milliseconds span) {
    if (replaced_runtime != nullptr) [[unlikely]]
      return replaced_runtime->wait_until(monotonic_now() + span, [this] { return rung(); }) && take();
    std::unique_lock lock(mutex_);
    const bool rang = changed_.wait_for(lock, span, [this] { return rung_; });
    rung_ = false;
    return rang;
  }

 private:
  [[nodiscard]] bool rung() const {
    const std::lock_guard lock(mutex_);
    return rung_;
  }
  bool take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(rung_, false);
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;  // guarded by mutex_
};

}  // namespace millrace::base
