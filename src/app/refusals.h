// What a stage says when it refuses to go on.
#pragma once

#include <mutex>
#include <optional>

#include <spdlog/spdlog.h>

#include "base/result.h"
#include "base/stop.h"

namespace millrace::app {

/// The first refusal, kept for the end and asking for it. Thread-safe.
class Refusals {
 public:
  explicit Refusals(base::StopSignal& stop) : stop_(stop) {}
  void add(const base::Error& error) {
    spdlog::error("{}", error.message);
    {
      const std::lock_guard lock(mutex_);
      if (!first_) first_ = error;
    }
    stop_.request();
  }
  [[nodiscard]] std::optional<base::Error> first() const {
    const std::lock_guard lock(mutex_);
    return first_;
  }

 private:
  base::StopSignal& stop_;
  mutable std::mutex mutex_;
  std::optional<base::Error> first_;  // guarded by mutex_
};

}  // namespace millrace::app
