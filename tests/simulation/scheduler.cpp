#include "simulation/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace millrace::simulation {

Scheduler::Task::Task(Process& owner, std::function<void()> work)
    : process(owner), fiber(std::make_unique<Fiber>(std::move(work))) {}

Scheduler::Scheduler(std::uint64_t seed) : random_(seed), now_(std::chrono::hours(1)) {
  MILLRACE_ASSERT(base::replaced_runtime == nullptr);
  base::replaced_runtime = this;
}

Scheduler::~Scheduler() {
  for (const auto& process : processes_) kill(*process);
  base::replaced_runtime = nullptr;
}

void Scheduler::mix(std::uint64_t what) {
  hash_ = (hash_ ^ what) * 0xBF58476D1CE4E5B9u;
  hash_ ^= hash_ >> 29u;
}

Scheduler::Task& Scheduler::add(Process& process, std::function<void()> work) {
  tasks_.push_back(std::make_unique<Task>(process, [work = std::move(work)] {
    // What a crash leaves of a process: its objects are destroyed, nothing else of it is done.
    try {
      work();
    } catch (const Cancelled&) {
    }
  }));
  tasks_.back()->number = ++tasks_made_;
  return *tasks_.back();
}

Process& Scheduler::spawn(int kind, std::function<void()> work) {
  processes_.push_back(std::make_unique<Process>());
  Process& process = *processes_.back();
  process.number = static_cast<int>(processes_.size());
  process.kind = kind;
  add(process, [&process, work = std::move(work)] {
    work();
    process.dead = true;
  });
  return process;
}

void Scheduler::start(std::function<void()> work) {
  add(current(), std::move(work));
}

void Scheduler::at(Moment moment, std::function<void()> work) {
  work_.push_back({moment, ++works_, std::move(work)});
  std::push_heap(work_.begin(), work_.end());
}

Process& Scheduler::current() {
  MILLRACE_ASSERT(running_ != nullptr);
  return running_->process;
}

void Scheduler::suspend() {
  Task& self = *running_;
  Fiber::suspend();
  if (self.cancelled) throw Cancelled{};
}

bool Scheduler::wait_until(Moment until, const std::function<bool()>& ready) {
  if (ready()) return true;
  // Work that is done between steps, and destructors during a crash, must not wait.
  MILLRACE_ASSERT(running_ != nullptr && !running_->cancelled);
  running_->until = until;
  running_->ready = &ready;
  suspend();
  return ready();
}

void Scheduler::pass(std::chrono::microseconds span) {
  running_->until = now_ + span;
  running_->ready = nullptr;
  suspend();
}

void Scheduler::pause_here() {
  current().paused = true;
  pass(std::chrono::microseconds(0));
}

void Scheduler::crash_here() {
  Process& process = current();
  at(Moment{}, [this, &process] { kill(process); });
  for (;;) pass(std::chrono::hours(1));
}

void Scheduler::resume(Task& task) {
  running_ = &task;
  task.fiber->resume();
  running_ = nullptr;
}

void Scheduler::kill(Process& process) {
  MILLRACE_ASSERT(running_ == nullptr);
  process.dead = true;
  // The calls beside a stage first: they use what stands on its stack.
  for (std::size_t i = tasks_.size(); i-- > 0;) {
    Task& task = *tasks_[i];
    if (&task.process != &process || task.fiber->ended()) continue;
    task.cancelled = true;
    if (task.fiber->begun()) {
      resume(task);
      MILLRACE_ASSERT(task.fiber->ended());
    } else {
      task.fiber.reset();
    }
    tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void Scheduler::remove_ended() {
  std::erase_if(tasks_, [](const auto& task) { return task->fiber->ended(); });
}

bool Scheduler::step() {
  for (;;) {
    if (!work_.empty() && work_.front().moment <= now_) {
      std::pop_heap(work_.begin(), work_.end());
      const auto work = std::move(work_.back().work);
      work_.pop_back();
      work();
      return true;
    }
    runnable_.clear();
    Moment next = work_.empty() ? Moment::max() : work_.front().moment;
    for (const auto& task : tasks_) {
      if (task->process.paused) continue;
      if (task->until <= now_ || (task->ready != nullptr && (*task->ready)())) {
        runnable_.push_back(task.get());
      } else {
        next = std::min(next, task->until);
      }
    }
    if (!runnable_.empty()) break;
    if (next == Moment::max()) return false;
    now_ = next;
  }
  Task& task = *runnable_[runnable_.size() == 1 ? 0 : random_.below(runnable_.size())];
  ++steps_;
  mix(static_cast<std::uint64_t>(task.number));
  mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  if (before_step) {
    Process& process = task.process;
    before_step(steps_, process);
    if (process.dead || process.paused) return true;
  }
  resume(task);
  if (task.fiber->ended()) remove_ended();
  return true;
}

}  // namespace millrace::simulation
