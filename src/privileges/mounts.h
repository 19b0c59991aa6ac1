// Directories of root's home, and no other, within reach of a user who may not enter it.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "privileges/user.h"

namespace millrace::privileges {

struct Need {
  std::filesystem::path path;  ///< Absolute; a file or a directory. One that is not there is not needed.
  bool is_writable = false;
};

/// Makes sure that the user reaches every need by its path. If the mode of a directory on the way keeps him
/// out (as that of root's home does), this process, and all that it starts, gets a mount namespace of its
/// own, in which that directory is covered by an empty one that holds the needs alone: read-only but for
/// those that are writable. Nothing changes for others, and nothing is left when the last process has gone.
/// Without such a directory nothing is mounted. Root alone, with one thread. Errors: kInvalid, saying what to
/// do (the system does not allow mounts; a file's own mode keeps the user out).
[[nodiscard]] base::Result<void> bring_within_reach(const std::vector<Need>& needs, const User& user);

}  // namespace millrace::privileges
