// A function with a stack of its own that can be left in the middle and gone on with later.
#pragma once

#include <functional>
#include <memory>

namespace millrace::simulation {

/// Everything happens on the thread that made it. It must have ended, or never been resumed, when it is
/// destroyed.
class Fiber {
 public:
  explicit Fiber(std::function<void()> work);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Runs until the next `suspend` inside or the end. Not called from within a fiber.
  void resume();
  [[nodiscard]] bool begun() const;
  [[nodiscard]] bool ended() const;

  /// Leaves the running fiber; returns when it is resumed.
  static void suspend();

 private:
  struct State;
  static void enter();
  std::unique_ptr<State> state_;
};

}  // namespace millrace::simulation
