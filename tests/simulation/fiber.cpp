// The checked form of longjmp takes a jump to another stack for a mistake.
#undef _FORTIFY_SOURCE
#include "simulation/fiber.h"

#include <csetjmp>
#include <cstddef>
#include <utility>
#include <vector>

#include <ucontext.h>

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace millrace::simulation {
namespace {

constexpr std::size_t kStackBytes = 512u << 10u;

// Stacks are used again: a run of the simulation makes a few hundred fibers.
std::vector<std::unique_ptr<std::byte[]>>& idle_stacks() {
  static thread_local std::vector<std::unique_ptr<std::byte[]>> stacks;
  return stacks;
}

std::unique_ptr<std::byte[]> take_stack() {
  auto& idle = idle_stacks();
  if (idle.empty()) return std::unique_ptr<std::byte[]>(new std::byte[kStackBytes]);
  auto stack = std::move(idle.back());
  idle.pop_back();
  return stack;
}

}  // namespace

struct Fiber::State {
  std::function<void()> work;
  std::unique_ptr<std::byte[]> stack = take_stack();
  ucontext_t first{};
  ucontext_t caller_first{};
  jmp_buf here{};
  jmp_buf caller{};
  bool begun = false;
  bool ended = false;
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
  void* caller_fake_stack = nullptr;
  const void* caller_stack = nullptr;
  std::size_t caller_stack_bytes = 0;
#endif
};

namespace {
thread_local Fiber* running = nullptr;
}

Fiber::Fiber(std::function<void()> work) : state_(std::make_unique<State>()) {
  state_->work = std::move(work);
}

Fiber::~Fiber() {
  MILLRACE_ASSERT(!state_->begun || state_->ended);
  idle_stacks().push_back(std::move(state_->stack));
}

bool Fiber::begun() const {
  return state_->begun;
}

bool Fiber::ended() const {
  return state_->ended;
}

void Fiber::enter() {
  State& state = *running->state_;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &state.caller_stack, &state.caller_stack_bytes);
#endif
  state.work();
  state.work = nullptr;
  state.ended = true;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(nullptr, state.caller_stack, state.caller_stack_bytes);
#endif
  _longjmp(state.caller, 1);
}

void Fiber::resume() {
  MILLRACE_ASSERT(running == nullptr && !state_->ended);
  running = this;
  State& state = *state_;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&state.caller_fake_stack, state.stack.get(), kStackBytes);
#endif
  // The first switch makes the stack; the later ones save the signal mask's two system calls.
  if (_setjmp(state.caller) == 0) {
    if (state.begun) _longjmp(state.here, 1);
    state.begun = true;
    getcontext(&state.first);
    state.first.uc_stack.ss_sp = state.stack.get();
    state.first.uc_stack.ss_size = kStackBytes;
    state.first.uc_link = nullptr;
    makecontext(&state.first, &Fiber::enter, 0);
    swapcontext(&state.caller_first, &state.first);
  }
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(running->state_->caller_fake_stack, nullptr, nullptr);
#endif
  running = nullptr;
}

void Fiber::suspend() {
  MILLRACE_ASSERT(running != nullptr);
  Fiber* const self = running;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&self->state_->fake_stack, self->state_->caller_stack,
                                 self->state_->caller_stack_bytes);
#endif
  if (_setjmp(self->state_->here) == 0) _longjmp(self->state_->caller, 1);
#if defined(__SANITIZE_ADDRESS__)
  State& state = *running->state_;
  __sanitizer_finish_switch_fiber(state.fake_stack, &state.caller_stack, &state.caller_stack_bytes);
#endif
}

}  // namespace millrace::simulation
