// One instance at a time in a directory.
#pragma once

#include <filesystem>
#include <utility>

#include "base/deadline.h"
#include "base/result.h"

namespace millrace::supervise {

/// Held by this process and by every child that keeps the descriptor: free again when the last of them is
/// gone.
class DirectoryLock {
 public:
  /// Waits until the deadline. Errors: kConflict (another instance holds it, with its process id), kFatal
  /// (not writable).
  [[nodiscard]] static base::Result<DirectoryLock> take(const std::filesystem::path& directory,
                                                        base::Deadline deadline);
  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

  [[nodiscard]] int file() const { return file_; }

 private:
  explicit DirectoryLock(int file) : file_(file) {}
  int file_;
};

}  // namespace millrace::supervise
