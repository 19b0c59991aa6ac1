#include "supervise/directory_lock.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.h"

namespace millrace::supervise {
namespace {
constexpr std::chrono::milliseconds kTryInterval{20};
}

base::Result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& directory,
                                                base::Deadline deadline) {
  const std::filesystem::path path = directory / "lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0)
    return base::fatal(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)), errno);
  DirectoryLock lock(file);
  while (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return base::fatal(fmt::format("cannot lock {}: {}", path.string(), std::strerror(errno)), errno);
    if (deadline.passed()) {
      std::array<char, 32> owner{};
      const ssize_t got = ::pread(file, owner.data(), owner.size(), 0);
      return base::conflict(fmt::format(
          "{} is in use by another instance (process {}): stop that, or use another directory",
          directory.string(),
          base::printable(base::trim({owner.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))}),
                          20)));
    }
    std::this_thread::sleep_for(kTryInterval);
  }
  const std::string own = std::to_string(::getpid());
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, own.data(), own.size(), 0) < 0)
    return base::fatal(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)), errno);
  return lock;
}

DirectoryLock::~DirectoryLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace millrace::supervise
