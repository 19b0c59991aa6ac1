#include "base/directory_lock.h"

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

namespace millrace::base {
namespace {

constexpr std::chrono::milliseconds kTryInterval{20};

std::unexpected<Error> cannot_write(const std::filesystem::path& file) {
  const int reason = errno;
  return fatal(fmt::format("cannot write {}: {}", file.string(), std::strerror(reason)), reason);
}

std::optional<pid_t> read_owner(int file) {
  std::array<char, 32> text{};
  const ssize_t length = ::pread(file, text.data(), text.size(), 0);
  const std::string_view all(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return parse_int<pid_t>(trim(all.substr(0, all.find('\n'))));
}

}  // namespace

Result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& lock_file, Deadline deadline) {
  Descriptor file(::open(lock_file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.is_open()) return cannot_write(lock_file);
  while (::flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return cannot_write(lock_file);
    if (deadline.passed()) {
      const auto owner = read_owner(file.number());
      return conflict(fmt::format("{} is in use by {}", lock_file.parent_path().string(),
                                  owner ? fmt::format("process {}", *owner) : "another process"));
    }
    std::this_thread::sleep_for(kTryInterval);
  }
  // Cut afterwards: the bytes that are there need no new room, so that a full disk does not keep a directory
  // from its owner.
  const std::string own = std::to_string(::getpid()) + "\n";
  const auto size = static_cast<off_t>(own.size());
  if (::pwrite(file.number(), own.data(), own.size(), 0) != size || ::ftruncate(file.number(), size) != 0)
    return cannot_write(lock_file);
  return DirectoryLock(std::move(file));
}

std::optional<pid_t> DirectoryLock::written_owner(const std::filesystem::path& lock_file) {
  const Descriptor file(::open(lock_file.c_str(), O_RDONLY | O_CLOEXEC));
  return file.is_open() ? read_owner(file.number()) : std::nullopt;
}

}  // namespace millrace::base
