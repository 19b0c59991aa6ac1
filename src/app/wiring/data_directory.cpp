#include "app/wiring/data_directory.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/text.h"
#include "supervise/process_info.h"

namespace millrace::app {

namespace {

constexpr std::string_view kLockFile = "millrace.lock";
constexpr std::chrono::milliseconds kDyingHolderTimeout{10'000};
constexpr std::chrono::milliseconds kTryInterval{20};

std::string holder_text(int file) {
  std::array<char, 32> pid{};
  const auto length = ::pread(file, pid.data(), pid.size() - 1, 0);
  return std::string(
      base::trim(std::string_view(pid.data(), length > 0 ? static_cast<std::size_t>(length) : 0)));
}

/// A directory that is ours, and the files in it, are for their owner alone; earlier versions went by the
/// umask. One that cannot be changed is another user's, who keeps it as he likes.
void keep_from_others(const std::filesystem::path& directory) {
  using std::filesystem::perms;
  std::error_code ignored;
  if (!std::filesystem::is_empty(directory, ignored) &&
      !std::filesystem::exists(directory / kLockFile, ignored))
    return;
  std::filesystem::permissions(directory, perms::owner_all, ignored);
  for (std::filesystem::directory_iterator entry(directory, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    std::error_code gone;
    if (entry->is_symlink(gone)) continue;
    std::filesystem::permissions(entry->path(), perms::group_all | perms::others_all,
                                 std::filesystem::perm_options::remove, gone);
  }
}

}  // namespace

base::Result<std::unique_ptr<DataDirectory>> DataDirectory::open(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  const auto absolute = std::filesystem::absolute(path).lexically_normal();
  if (failed)
    return base::invalid(
        fmt::format("cannot make the data directory {}: {}", absolute.string(), failed.message()));
  const auto lock_file = absolute / kLockFile;
  keep_from_others(absolute);
  const int file = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0)
    return base::invalid(
        fmt::format("cannot write in the data directory {}: {}", absolute.string(), std::strerror(errno)));
  // A process that was killed a moment ago may still be on its way out, and hold the lock until it is.
  const auto patience = base::Deadline::in(kDyingHolderTimeout);
  bool locked = flock(file, LOCK_EX | LOCK_NB) == 0;
  while (!locked && !holder(absolute) && !patience.passed()) {
    std::this_thread::sleep_for(kTryInterval);
    locked = flock(file, LOCK_EX | LOCK_NB) == 0;
  }
  if (!locked) {
    const std::string pid = holder_text(file);
    ::close(file);
    return base::conflict(fmt::format(
        "the data directory {} is in use by process {}; stop that one, or give another with --data-dir",
        absolute.string(), base::printable(pid, 20)));
  }
  const std::string own = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, own.data(), own.size(), 0) < 0) {
    const int reason = errno;
    ::close(file);
    return base::invalid(fmt::format("cannot write {}: {}", lock_file.string(), std::strerror(reason)));
  }
  return std::unique_ptr<DataDirectory>(new DataDirectory(absolute, file));
}

std::optional<pid_t> DataDirectory::holder(const std::filesystem::path& path) {
  const auto lock_file = path / kLockFile;
  const int file = ::open(lock_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  const auto pid = base::parse_int<pid_t>(base::trim(holder_text(file)));
  ::close(file);
  // Taking the lock to see whether it is free would get in the way of one who starts at this moment.
  return pid && supervise::has_open(*pid, lock_file) ? pid : std::nullopt;
}

DataDirectory::~DataDirectory() {
  ::close(file_);
}

}  // namespace millrace::app
