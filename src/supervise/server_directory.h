// The directory that an embedded server has to itself.
#pragma once

#include <filesystem>

#include "base/deadline.h"
#include "base/directory_lock.h"
#include "base/result.h"

namespace millrace::supervise {

/// Makes the directory, for its owner alone, and locks it; waits until the deadline for another instance to
/// go. Errors: kConflict (another instance holds it, with its process id), kFatal (not writable).
[[nodiscard]] base::Result<base::DirectoryLock> take_server_directory(const std::filesystem::path& directory,
                                                                      base::Deadline deadline);

}  // namespace millrace::supervise
