#include "adapters/system/signals.h"

#include <ctime>

#include <spdlog/spdlog.h>
#include <unistd.h>

namespace millrace::adapters::system {
namespace {

constexpr int kExitOnSecondSignal = 130;
constexpr long kPollNanoseconds = 100'000'000;

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

void block_stop_signals() {
  // A shell without job control starts background programs with SIGINT ignored; an ignored signal never
  // arrives, blocked or not.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

SignalWatch::SignalWatch(base::StopSignal& stop) : stop_(stop) {
  thread_ = std::thread([this] {
    const sigset_t set = stop_signals();
    while (!ended_.requested()) {
      const timespec pause{0, kPollNanoseconds};
      const int signal = sigtimedwait(&set, nullptr, &pause);
      if (signal < 0) continue;
      if (stop_.requested()) _exit(kExitOnSecondSignal);
      spdlog::info("stopping ({}); once more ends at once", signal == SIGINT ? "SIGINT" : "SIGTERM");
      stop_.request();
    }
  });
}

SignalWatch::~SignalWatch() {
  ended_.request();
  thread_.join();
}

}  // namespace millrace::adapters::system
