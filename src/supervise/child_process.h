// One process that we start.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/deadline.h"
#include "base/result.h"

namespace millrace::supervise {

struct ChildSpec {
  std::string name;               ///< For logs and displays: "mariadbd".
  std::filesystem::path program;  ///< With its folder; PATH is not searched.
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>>
      environment;  ///< Beside PATH, HOME, the locale, TZ, TMPDIR and JAVA_HOME of our own; no other is
                    ///< handed down.
  std::filesystem::path log_file;  ///< Standard output and error are appended.
  std::vector<int>
      kept_files;         ///< Descriptors that the child keeps open; all others but 0, 1 and 2 are closed.
  int ruleset_file = -1;  ///< Of the confinement::Ruleset that the child is held to; -1: none.
};

/// How a process ended: "exit code 1", "signal 9".
[[nodiscard]] std::string describe_exit(int wait_status);

/// One caller. The process is in a session of its own, so a Ctrl-C at our terminal does not reach it nor it
/// the terminal, and gets SIGKILL from the kernel when the thread that started it ends, however that happens.
/// Its files are for its own user alone (umask 077), and it can gain no rights by starting other programs.
/// Killed and waited for when destroyed.
class ChildProcess {
 public:
  /// The program runs when it returns. Errors: kFatal (no such program, log file not writable, no more
  /// processes).
  [[nodiscard]] static base::Result<ChildProcess> start(const ChildSpec& spec);
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)), wait_status_(other.wait_status_) {}
  ChildProcess& operator=(ChildProcess&&) = delete;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// The wait status if the process has ended.
  [[nodiscard]] std::optional<int> ended();
  /// Waits for the end until the deadline.
  [[nodiscard]] std::optional<int> wait(base::Deadline deadline);
  /// SIGTERM, and SIGKILL when it is still there at the deadline or once `enough` (may be empty) says that
  /// nothing is lost by it. The wait status.
  int stop(base::Deadline deadline, const std::function<bool()>& enough = {});

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;
  std::optional<int> wait_status_;
};

}  // namespace millrace::supervise
