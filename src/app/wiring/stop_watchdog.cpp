#include "app/wiring/stop_watchdog.h"

#include <cstdlib>

#include <spdlog/spdlog.h>

#include "base/thread_name.h"

namespace millrace::app {

StopWatchdog::~StopWatchdog() {
  done_.request();
  if (thread_.joinable()) thread_.join();
}

void StopWatchdog::arm(std::chrono::milliseconds span) {
  thread_ = std::thread([this, span] {
    base::name_this_thread("stop-watchdog");
    if (done_.wait_for(span)) return;
    spdlog::warn(
        "stop.timeout has passed with a call to a server under way, which does not answer: ending all "
        "the same; the next start resumes there");
    spdlog::shutdown();
    std::_Exit(EXIT_SUCCESS);
  });
}

}  // namespace millrace::app
