// The owner of a directory, over all processes.
#pragma once

#include <filesystem>
#include <utility>

#include <unistd.h>

#include "base/result.h"

namespace millrace::adapters::rocksdb {

/// An flock, which the system gives back however the process ends.
class DirectoryLock {
 public:
  /// Errors: kConflict (the directory has an owner; the message says which process), kFatal (it cannot be
  /// written to).
  [[nodiscard]] static base::Result<DirectoryLock> take(const std::filesystem::path& directory);
  DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~DirectoryLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace millrace::adapters::rocksdb
