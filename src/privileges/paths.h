// Where a path really leads, followed step by step.
#pragma once

#include <filesystem>
#include <vector>

#include <sys/types.h>

#include "base/descriptor.h"
#include "base/result.h"

namespace millrace::privileges {

using base::Descriptor;

struct SymbolicLink {
  std::filesystem::path place;  ///< Itself without symbolic links before the last part.
  std::filesystem::path target;
  uid_t owner = 0;
};

struct RealPath {
  std::filesystem::path path;        ///< Without symbolic links.
  std::vector<SymbolicLink> passed;  ///< In the order of the way.
  bool exists = false;               ///< False: the last parts of `path` are not there.
};

/// Follows an absolute path. Errors: kInvalid (a part is not a directory, too many links, not readable).
[[nodiscard]] base::Result<RealPath> follow(const std::filesystem::path& absolute);

/// Opens a path (O_PATH) that `follow` gave, and no symbolic link that somebody has put there since. Errors:
/// kInvalid.
[[nodiscard]] base::Result<Descriptor> open_as_it_is(const std::filesystem::path& real);

}  // namespace millrace::privileges
