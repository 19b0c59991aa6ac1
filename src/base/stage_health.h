// What a stage is waiting for, for whoever watches it.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"

namespace millrace::base {

/// Set by the stage's own thread, read by any.
class StageHealth {
 public:
  /// The stage waits out an outage.
  void set_waiting(const Error& error) {
    const std::lock_guard lock(mutex_);
    reason_ = public_message(error);
    waiting_ = true;
  }
  void set_running() {
    if (!waiting_) return;
    const std::lock_guard lock(mutex_);
    reason_.clear();
    waiting_ = false;
  }
  /// Why it waits, in words that a client may be told; nothing while it runs.
  [[nodiscard]] std::optional<std::string> waiting_for() const {
    if (!waiting_) return std::nullopt;
    const std::lock_guard lock(mutex_);
    return reason_;
  }

 private:
  std::atomic<bool> waiting_ = false;
  mutable std::mutex mutex_;
  std::string reason_;  // guarded by mutex_
};

}  // namespace millrace::base
