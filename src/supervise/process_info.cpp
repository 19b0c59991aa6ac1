#include "supervise/process_info.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <limits>
#include <string>

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

namespace millrace::supervise {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// The n-th word after `text` has been cut at `begin`.
std::string_view word(std::string_view text, std::size_t n) {
  for (;; --n) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (n == 0) return text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    if (text.empty()) return {};
  }
}

/// Whether it is on its way out: its files are closed, or are being closed.
bool is_ending(pid_t pid) {
  // Source: proc(5), field 9; include/linux/sched.h, PF_EXITING.
  constexpr std::size_t kFlags = 9 - 3;
  constexpr std::uint64_t kExiting = 0x4;
  const std::string stat = text_of(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return true;
  const auto flags =
      base::parse_int<std::uint64_t>(word(std::string_view(stat).substr(name_end + 2), kFlags)).value_or(0);
  return (flags & kExiting) != 0;
}

}  // namespace

std::optional<ProcessInfo> process_info(pid_t pid) {
  const fs::path folder = fmt::format("/proc/{}", pid);
  // Source: proc(5). The name, in parentheses, may hold anything; behind it, state is field 3.
  const std::string stat = text_of(folder / "stat");
  const std::size_t name_end = stat.rfind(") ");
  if (pid <= 0 || name_end == std::string::npos) return std::nullopt;
  constexpr std::size_t kStartTime = 22 - 3;
  const std::string_view fields = std::string_view(stat).substr(name_end + 2);
  if (word(fields, 0) == "Z" || word(fields, 0) == "X") return std::nullopt;
  const auto started_ticks = base::parse_int<std::int64_t>(word(fields, kStartTime)).value_or(0);
  const std::string uptime = text_of("/proc/uptime");
  const auto up_seconds =
      base::parse_int<std::int64_t>(std::string_view(uptime).substr(0, uptime.find('.'))).value_or(0);
  const std::string pages = text_of(folder / "statm");
  ProcessInfo info;
  info.uptime = std::chrono::seconds(
      std::max<std::int64_t>(0, up_seconds - started_ticks / std::max(1L, ::sysconf(_SC_CLK_TCK))));
  info.resident_bytes = base::parse_int<std::uint64_t>(word(pages, 1)).value_or(0) *
                        static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_PAGESIZE)));
  return info;
}

bool has_open(pid_t pid, const fs::path& file) {
  if (!process_info(pid)) return false;
  std::error_code error;
  fs::directory_iterator entry(fmt::format("/proc/{}/fd", pid), error);
  if (error) return error == std::errc::permission_denied && !is_ending(pid);
  for (; entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code gone;
    if (fs::equivalent(entry->path(), file, gone)) return true;
    if (error) break;
  }
  return false;
}

std::optional<ProcessHandle> ProcessHandle::open(pid_t pid) {
  const auto file = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (file < 0) return std::nullopt;
  return ProcessHandle(file);
}

ProcessHandle::~ProcessHandle() {
  if (file_ >= 0) ::close(file_);
}

bool ProcessHandle::send(int signal) const {
  return ::syscall(SYS_pidfd_send_signal, file_, signal, nullptr, 0) == 0;
}

bool ProcessHandle::wait(base::Deadline deadline) const {
  for (;;) {
    pollfd entry{.fd = file_, .events = POLLIN, .revents = 0};
    const auto left_ms =
        static_cast<int>(std::min<std::int64_t>(deadline.left().count(), std::numeric_limits<int>::max()));
    const int count = ::poll(&entry, 1, left_ms);
    if (count > 0) return true;
    if (count == 0 && deadline.passed()) return false;
    if (count < 0 && errno != EINTR) return false;
  }
}

}  // namespace millrace::supervise
