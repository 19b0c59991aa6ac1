#include "app/wiring/data_directory.h"

#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "base/deadline.h"
#include "base/directory_lock.h"
#include "supervise/process_info.h"

namespace millrace::app {

namespace {

constexpr std::string_view kLockFile = "millrace.lock";
constexpr std::chrono::milliseconds kDyingHolderTimeout{10'000};
constexpr std::chrono::milliseconds kTryInterval{20};

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
  keep_from_others(absolute);
  // A process that was killed a moment ago may still be on its way out, and hold the lock until it is.
  const auto patience = base::Deadline::in(kDyingHolderTimeout);
  auto lock = base::DirectoryLock::take(absolute / kLockFile);
  while (!lock && lock.error().kind == base::ErrorKind::kConflict && !holder(absolute) &&
         !patience.passed()) {
    std::this_thread::sleep_for(kTryInterval);
    lock = base::DirectoryLock::take(absolute / kLockFile);
  }
  if (!lock && lock.error().kind == base::ErrorKind::kConflict)
    return base::conflict(fmt::format("the data directory {}; stop that one, or give another with --data-dir",
                                      lock.error().message));
  if (!lock)
    return base::invalid(fmt::format("cannot write in the data directory {}: {}", absolute.string(),
                                     std::strerror(lock.error().vendor_code)));
  return std::unique_ptr<DataDirectory>(new DataDirectory(absolute, std::move(*lock)));
}

std::optional<pid_t> DataDirectory::holder(const std::filesystem::path& path) {
  const auto lock_file = path / kLockFile;
  const auto pid = base::DirectoryLock::written_owner(lock_file);
  // Taking the lock to see whether it is free would get in the way of one who starts at this moment.
  return pid && supervise::has_open(*pid, lock_file) ? pid : std::nullopt;
}

}  // namespace millrace::app
