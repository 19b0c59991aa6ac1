#include "adapters/rocksdb/directory_lock.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "base/text.h"

namespace millrace::adapters::rocksdb {

base::Result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "owner.lock";
  // Not inherited by the servers that we start: one that outlives us must not keep the log locked.
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0)
    return base::fatal(
        fmt::format("event log: cannot write to {}: {}", directory.string(), std::strerror(errno)), errno);
  DirectoryLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> owner{};
    const ssize_t length = ::pread(descriptor, owner.data(), owner.size(), 0);
    const std::string_view pid(owner.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    return base::conflict(fmt::format(
        "event log: {} is in use by process {}; stop that one, or give this one a data directory of its "
        "own",
        directory.string(), pid.empty() ? "unknown" : base::printable(base::trim(pid), owner.size())));
  }
  const std::string pid = std::to_string(::getpid());
  // Only for the message above, so a failure to write it does not matter.
  if (::ftruncate(descriptor, 0) == 0) [[maybe_unused]]
    const auto written = ::pwrite(descriptor, pid.data(), pid.size(), 0);
  return lock;
}

}  // namespace millrace::adapters::rocksdb
