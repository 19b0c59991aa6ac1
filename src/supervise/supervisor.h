// Keeping one process running.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/deadline.h"
#include "base/result.h"
#include "base/stop.h"
#include "supervise/child_process.h"

namespace millrace::supervise {

struct Service {
  ChildSpec child;
  std::function<base::Result<void>()> before_start;         ///< Before every start; may be empty.
  std::function<base::Result<void>(base::Deadline)> probe;  ///< Succeeds when the process serves.
  std::chrono::milliseconds ready_timeout{60'000};          ///< From start to the first successful probe.
  std::chrono::milliseconds stop_timeout{20'000};           ///< From SIGTERM to SIGKILL.
  std::function<bool()> may_be_killed;  ///< Asked after SIGTERM: whether SIGKILL loses nothing any more; may
                                        ///< be empty.
  std::uintmax_t log_bytes_max = std::uintmax_t{8} << 20;  ///< Of the log file; one older one is kept.
};

enum class ServiceState { kStopped, kStarting, kReady, kWaiting };

/// "stopped", "starting", "ready", "waiting to restart".
[[nodiscard]] std::string_view to_string(ServiceState state);

struct ServiceStatus {
  std::string name;
  ServiceState state = ServiceState::kStopped;
  pid_t pid = 0;  ///< 0 when it does not run.
  std::uint64_t restarts = 0;
  std::string last_problem;  ///< Empty: none so far.
};

/// Owns a thread that starts the process, watches it, and starts it again with growing pauses when it ends or
/// never becomes ready. Thread-safe but for start and stop, which have one caller. The destructor stops.
class Supervisor {
 public:
  explicit Supervisor(Service service);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Waits for the first readiness. A first start that fails is not repeated. Errors: what before_start said,
  /// kFatal (the process ended; with the end of its log), kUnavailable (not ready by the deadline).
  [[nodiscard]] base::Result<void> start(base::Deadline deadline);
  /// SIGTERM, and SIGKILL after stop_timeout. Nothing runs when it returns.
  void stop();
  [[nodiscard]] ServiceStatus status() const;

 private:
  void work();
  base::Result<void> run_once();
  base::Result<void> wait_until_ready(ChildProcess& child);
  void set_state(ServiceState state, pid_t pid);

  const Service service_;
  base::StopSignal stop_;
  std::optional<std::chrono::steady_clock::time_point> served_since_;  // this run's readiness; of the thread
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable first_over_;
  ServiceStatus status_;                           // guarded by mutex_
  std::optional<base::Result<void>> first_start_;  // guarded by mutex_
};

}  // namespace millrace::supervise
