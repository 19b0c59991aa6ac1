// A few threads for calls that block.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"

namespace millrace::api {

/// Owns its threads. Thread-safe.
class WorkerPool {
 public:
  using Job = std::function<void()>;

  WorkerPool(std::size_t threads, std::size_t jobs_max);
  /// Runs what is queued and joins the threads.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False if `jobs_max` jobs are waiting already. An exception of a job ends that job alone.
  [[nodiscard]] bool submit(Job job);

 private:
  void run();
  base::BoundedQueue<Job> jobs_;
  std::vector<std::thread> threads_;
};

}  // namespace millrace::api
