#include "supervise/supervisor.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/exceptions.h"
#include "supervise/log_file.h"

namespace millrace::supervise {
namespace {

constexpr std::chrono::milliseconds kProbeInterval{20};
constexpr std::chrono::milliseconds kProbeTimeout{2'000};
constexpr std::chrono::milliseconds kWatchInterval{50};
constexpr std::chrono::seconds kLogInterval{1};
constexpr std::chrono::milliseconds kPauseFirst{50};
constexpr std::chrono::milliseconds kPauseLongest{5'000};
// A process that has served this long has earned short pauses again; one that dies at once has not.
constexpr std::chrono::seconds kSteadyAfter{1};

std::string quoted_log(const std::filesystem::path& file) {
  const std::string tail = log_tail(file);
  return tail.empty() ? "" : "; its log says: " + tail;
}

}  // namespace

std::string_view to_string(ServiceState state) {
  switch (state) {
    case ServiceState::kStopped:
      return "stopped";
    case ServiceState::kStarting:
      return "starting";
    case ServiceState::kReady:
      return "ready";
    case ServiceState::kWaiting:
      return "waiting to restart";
  }
  return "?";
}

Supervisor::Supervisor(Service service) : service_(std::move(service)) {
  status_.name = service_.child.name;
}

Supervisor::~Supervisor() {
  stop();
}

base::Result<void> Supervisor::start(base::Deadline deadline) {
  // The kernel kills the child when the thread that started it ends, so that thread must live as long as the
  // child.
  thread_ = std::thread([this] { work(); });
  std::unique_lock lock(mutex_);
  if (first_over_.wait_until(lock, deadline.moment(), [this] { return first_start_.has_value(); })) {
    base::Result<void> outcome = *first_start_;
    lock.unlock();
    if (!outcome) stop();
    return outcome;
  }
  lock.unlock();
  stop();
  return base::unavailable(
      fmt::format("{} was not ready in time: see {}", service_.child.name, service_.child.log_file.string()));
}

void Supervisor::stop() {
  stop_.request();
  if (thread_.joinable()) thread_.join();
}

ServiceStatus Supervisor::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void Supervisor::set_state(ServiceState state, pid_t pid) {
  const std::lock_guard lock(mutex_);
  status_.state = state;
  status_.pid = pid;
}

void Supervisor::work() {
  base::Backoff backoff(kPauseFirst, kPauseLongest);
  while (!stop_.requested()) {
    served_since_.reset();
    const base::Result<void> run = base::without_exceptions([this] { return run_once(); });
    if (stop_.requested()) break;
    {
      const std::lock_guard lock(mutex_);
      status_.last_problem = run ? "" : run.error().message;
      if (!first_start_) {
        first_start_ = run;
        status_.state = ServiceState::kStopped;
        status_.pid = 0;
        first_over_.notify_all();
        return;
      }
      ++status_.restarts;
    }
    if (served_since_ && std::chrono::steady_clock::now() - *served_since_ > kSteadyAfter) backoff.reset();
    const auto pause = backoff.next();
    set_state(ServiceState::kWaiting, 0);
    spdlog::error("{}; starting it again in {} ms", run ? "" : run.error().message, pause.count());
    stop_.wait_for(pause);
  }
  set_state(ServiceState::kStopped, 0);
}

/// Runs the process until it ends (always an error) or a stop was requested.
base::Result<void> Supervisor::run_once() {
  set_state(ServiceState::kStarting, 0);
  if (service_.before_start) MILLRACE_TRY(service_.before_start());
  MILLRACE_TRY_ASSIGN(ChildProcess child, ChildProcess::start(service_.child));
  set_state(ServiceState::kStarting, child.pid());
  MILLRACE_TRY(wait_until_ready(child));
  served_since_ = std::chrono::steady_clock::now();
  if (!stop_.requested()) {
    const std::lock_guard lock(mutex_);
    status_.state = ServiceState::kReady;
    if (!first_start_) first_start_.emplace();
    first_over_.notify_all();
  }
  auto log_looked_at = std::chrono::steady_clock::now();
  while (!stop_.wait_for(kWatchInterval)) {
    if (const auto ended = child.ended())
      return base::fatal(fmt::format("{} ended ({}){}", service_.child.name, describe_exit(*ended),
                                     quoted_log(service_.child.log_file)));
    if (std::chrono::steady_clock::now() - log_looked_at > kLogInterval) {
      log_looked_at = std::chrono::steady_clock::now();
      bound_log(service_.child.log_file, service_.log_bytes_max);
    }
  }
  const int status = child.stop(base::Deadline::in(service_.stop_timeout), service_.may_be_killed);
  spdlog::debug("{} stopped ({})", service_.child.name, describe_exit(status));
  return {};
}

base::Result<void> Supervisor::wait_until_ready(ChildProcess& child) {
  const base::Deadline deadline = base::Deadline::in(service_.ready_timeout);
  while (!stop_.wait_for(kProbeInterval)) {
    if (const auto ended = child.ended())
      return base::fatal(fmt::format("{} did not start ({}){}", service_.child.name, describe_exit(*ended),
                                     quoted_log(service_.child.log_file)));
    if (service_.probe(base::Deadline::in(std::min(kProbeTimeout, deadline.left())))) return {};
    if (deadline.passed()) {
      child.stop(base::Deadline::in(service_.stop_timeout));
      return base::unavailable(fmt::format("{} did not answer within {} s{}", service_.child.name,
                                           service_.ready_timeout.count() / 1000,
                                           quoted_log(service_.child.log_file)));
    }
  }
  return {};
}

}  // namespace millrace::supervise
