// A queue with a bound between threads.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/deadline.h"

namespace millrace::base {

/// Thread-safe. After `close`, pushes are refused and pops drain what is left.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t items_max) : items_max_(items_max) {}

  /// False at once if the queue is full or closed; `item` is untouched then.
  bool try_push(T&& item) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= items_max_) return false;
      items_.push_back(std::move(item));
    }
    filled_.notify_one();
    return true;
  }

  /// Takes all that is there, at most `count_max`, waiting until the deadline for the first. Empty: nothing
  /// came, or the queue is closed and drained.
  std::vector<T> pop_some(std::size_t count_max, Deadline deadline) {
    std::vector<T> taken;
    std::unique_lock lock(mutex_);
    filled_.wait_until(lock, deadline.moment(), [this] { return closed_ || !items_.empty(); });
    // Before anything is taken, so that nothing is lost if there is no memory.
    taken.reserve(std::min(items_.size(), count_max));
    while (!items_.empty() && taken.size() < count_max) {
      taken.push_back(std::move(items_.front()));
      items_.pop_front();
    }
    return taken;
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    filled_.notify_all();
  }

  [[nodiscard]] bool drained() const {
    const std::lock_guard lock(mutex_);
    return closed_ && items_.empty();
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  const std::size_t items_max_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<T> items_;  // guarded by mutex_
  bool closed_ = false;  // guarded by mutex_
};

}  // namespace millrace::base
