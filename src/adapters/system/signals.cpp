#include "adapters/system/signals.h"

#include <ctime>
#include <string_view>

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
  sigaddset(&set, SIGHUP);
  return set;
}

std::string_view name_of(int signal) {
  return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "SIGHUP";
}

}  // namespace

void block_stop_signals() {
  // A shell without job control starts background programs with SIGINT ignored; an ignored signal never
  // arrives, blocked or not.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  sigset_t set = stop_signals();
  // nohup asks to survive the terminal; a blocked signal would be queued although it is ignored.
  struct sigaction hang_up{};
  if (sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler == SIG_IGN) sigdelset(&set, SIGHUP);
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
      if (stop_.requested()) {
        // A shell and the kernel both tell of the terminal's end: twice is not more urgent than once.
        if (signal == SIGHUP) continue;
        _exit(kExitOnSecondSignal);
      }
      spdlog::info("stopping ({}); once more ends at once", name_of(signal));
      stop_.request();
    }
  });
}

SignalWatch::~SignalWatch() {
  ended_.request();
  thread_.join();
}

}  // namespace millrace::adapters::system
