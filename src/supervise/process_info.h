// What the system says of a process.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>

#include <sys/types.h>

#include "base/deadline.h"

namespace millrace::supervise {

struct ProcessInfo {
  std::uint64_t resident_bytes = 0;
  std::chrono::seconds uptime{0};
};

/// Nothing if there is no such process.
[[nodiscard]] std::optional<ProcessInfo> process_info(pid_t pid);

/// True if the process has the file open. False for a process that has ended; true if that is not ours to
/// see.
[[nodiscard]] bool has_open(pid_t pid, const std::filesystem::path& file);

/// A process that somebody else started, which stays the same one even when its number is given to another.
/// One caller.
class ProcessHandle {
 public:
  /// Nothing if there is no such process.
  [[nodiscard]] static std::optional<ProcessHandle> open(pid_t pid);
  ~ProcessHandle();
  ProcessHandle(ProcessHandle&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  ProcessHandle& operator=(ProcessHandle&&) = delete;
  ProcessHandle(const ProcessHandle&) = delete;
  ProcessHandle& operator=(const ProcessHandle&) = delete;

  /// False if it has ended, or is not ours to signal.
  bool send(int signal) const;
  /// True if it has ended by the deadline.
  [[nodiscard]] bool wait(base::Deadline deadline) const;

 private:
  explicit ProcessHandle(int file) : file_(file) {}
  int file_;
};

}  // namespace millrace::supervise
