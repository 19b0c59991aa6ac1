#include "supervise/server_directory.h"

#include <system_error>

#include <fmt/format.h>

namespace millrace::supervise {

base::Result<base::DirectoryLock> take_server_directory(const std::filesystem::path& directory,
                                                        base::Deadline deadline) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return base::fatal(fmt::format("cannot make {}: {}", directory.string(), error.message()));
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  auto lock = base::DirectoryLock::take(directory / "lock", deadline);
  if (!lock && lock.error().kind == base::ErrorKind::kConflict)
    return base::conflict(lock.error().message + ": stop that, or use another directory");
  return lock;
}

}  // namespace millrace::supervise
