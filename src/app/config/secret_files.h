// Files that hold a secret: read only if nobody else can read them, written so that they are there whole or
// not at all.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/result.h"

namespace millrace::app {

/// True if the mode keeps the group and all others out. A file of root's may be read by the group, as
/// PostgreSQL has it for keys: that is how a service's group is given one.
[[nodiscard]] bool is_private(mode_t mode, uid_t owner);

/// The text of a regular file of at most 64 KiB. `setting` names it in errors, which never hold what is in
/// it. Errors: kNotFound; kInvalid (cannot be read, read by others, too large).
[[nodiscard]] base::Result<std::string> read_secret_file(const std::filesystem::path& path,
                                                         std::string_view setting);

/// With mode 0600, whatever the umask, and on the disk when it returns; a file of that name is replaced at
/// once. Errors: kInvalid.
[[nodiscard]] base::Result<void> write_secret_file(const std::filesystem::path& path, std::string_view text);

}  // namespace millrace::app
