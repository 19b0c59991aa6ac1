// Which fiber takes the next step, and what time it is: a pure function of the seed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/scheduler.h"
#include "simulation/fiber.h"
#include "simulation/random.h"

namespace millrace::simulation {

/// What runs and dies together: a stage and the calls beside it.
struct Process {
  int number = 0;
  int kind = 0;
  bool dead = false;  ///< Crashed, or its work has ended.
  bool paused = false;
};

/// Replaces the clock and the threads of the thread that made it, until it is destroyed. A step is one fiber
/// from one wait to its next. Time stands still while some fiber can go on, and then jumps to the next moment
/// that one waits for.
class Scheduler final : public base::Scheduler {
 public:
  explicit Scheduler(std::uint64_t seed);
  ~Scheduler() override;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  [[nodiscard]] Moment now() override { return now_; }
  bool wait_until(Moment until, const std::function<bool()>& ready) override;
  void start(std::function<void()> work) override;
  [[nodiscard]] std::uint64_t random_seed() override { return random_.next(); }

  // From anywhere.
  Process& spawn(int kind, std::function<void()> work);
  /// Does `work` between two steps, once time has come to `moment`.
  void at(Moment moment, std::function<void()> work);
  void after(std::chrono::microseconds span, std::function<void()> work) { at(now_ + span, std::move(work)); }
  void pause(Process& process) { process.paused = true; }
  void go_on(Process& process) { process.paused = false; }

  // From within a fiber.
  /// Gives the others their turn for `span`.
  void pass(std::chrono::microseconds span);
  /// Stops the running process until somebody lets it go on.
  void pause_here();
  /// The running process ends here and now; its stacks are unwound, its objects destroyed.
  [[noreturn]] void crash_here();
  [[nodiscard]] Process& current();

  // From between steps.
  void kill(Process& process);
  /// One step, or one piece of work of `at`; false when nothing will ever happen again.
  bool step();

  /// Between two steps: what to do with the process whose turn it is. For crashes at every step.
  std::function<void(std::uint64_t step, Process&)> before_step;

  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  /// Of all steps so far: who, and when.
  [[nodiscard]] std::uint64_t schedule_hash() const { return hash_; }
  void mix(std::uint64_t what);

 private:
  struct Task {
    Task(Process& owner, std::function<void()> work);
    Process& process;
    std::unique_ptr<Fiber> fiber;
    Moment until{};
    const std::function<bool()>* ready = nullptr;
    bool cancelled = false;
    int number = 0;
  };
  struct Work {
    Moment moment;
    std::uint64_t order;
    std::function<void()> work;
    friend bool operator<(const Work& a, const Work& b) {
      return a.moment != b.moment ? a.moment > b.moment : a.order > b.order;
    }
  };
  struct Cancelled {};

  Task& add(Process& process, std::function<void()> work);
  void suspend();
  void resume(Task& task);
  void remove_ended();

  Random random_;
  Moment now_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<Work> work_;  // a heap
  std::vector<Task*> runnable_;
  Task* running_ = nullptr;
  std::uint64_t works_ = 0;
  int tasks_made_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t hash_ = 0;
};

}  // namespace millrace::simulation
