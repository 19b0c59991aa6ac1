#include "api/worker_pool.h"

#include <algorithm>
#include <chrono>

#include <spdlog/spdlog.h>

#include "base/exceptions.h"

namespace millrace::api {

WorkerPool::WorkerPool(std::size_t threads, std::size_t jobs_max) : jobs_(jobs_max) {
  for (std::size_t i = 0; i < std::max<std::size_t>(1, threads); ++i)
    threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() {
  jobs_.close();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerPool::submit(Job job) {
  return jobs_.try_push(std::move(job));
}

void WorkerPool::run() {
  while (!jobs_.drained())
    for (const Job& job : jobs_.pop_some(1, base::Deadline::in(std::chrono::seconds(60)))) {
      const auto thrown = base::exception_of(job);
      if (thrown) spdlog::error("a job of the API ended with an exception: {}", *thrown);
    }
}

}  // namespace millrace::api
