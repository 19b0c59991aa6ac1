// One owner of a directory at a time, over all processes.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>

#include <sys/types.h>

#include "base/deadline.h"
#include "base/descriptor.h"
#include "base/result.h"

namespace millrace::base {

/// An flock on a file in the directory, which holds the owner's process id. The system gives it back however
/// the owner ends; a child that keeps the descriptor goes on holding it.
class DirectoryLock {
 public:
  /// Makes the file if it is missing, and waits until the deadline for another owner to go; by default not at
  /// all. Errors: kConflict ("DIRECTORY is in use by process 123"), kFatal ("cannot write FILE: why", with
  /// errno as the vendor's code).
  [[nodiscard]] static Result<DirectoryLock> take(
      const std::filesystem::path& lock_file, Deadline deadline = Deadline::in(std::chrono::milliseconds(0)));

  /// The process id in the file: of the owner, or, if there is none now, of the last one.
  [[nodiscard]] static std::optional<pid_t> written_owner(const std::filesystem::path& lock_file);

  /// Closed in children that do not keep it.
  [[nodiscard]] int file() const { return file_.number(); }

 private:
  explicit DirectoryLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace millrace::base
