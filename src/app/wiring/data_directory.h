// The data directory, held by one process at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/directory_lock.h"
#include "base/result.h"

namespace millrace::app {

class DataDirectory {
 public:
  /// Makes it if it is missing, waits for a holder that is dying, and locks it until destroyed (or the
  /// process ends, however it ends). Errors: kConflict (another process has it, named by its pid), kInvalid
  /// (cannot be made or written).
  [[nodiscard]] static base::Result<std::unique_ptr<DataDirectory>> open(const std::string& path);
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  /// The process that has it, if one does.
  [[nodiscard]] static std::optional<pid_t> holder(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  DataDirectory(std::filesystem::path path, base::DirectoryLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::filesystem::path path_;
  base::DirectoryLock lock_;
};

}  // namespace millrace::app
