// The user that a server runs as.
#pragma once

#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/result.h"

namespace millrace::privileges {

struct User {
  std::string name;  ///< For messages; the number where it has no name.
  uid_t uid = 0;
  gid_t gid = 0;
};

/// By name ("millrace") or number ("999", "999:998"); a number without a group takes that of the user of this
/// number. Errors: kNotFound (no such user), kInvalid (not a number, or its group is not known).
[[nodiscard]] base::Result<User> find_user(std::string_view text);

/// Whom this process's effective user is.
[[nodiscard]] User current_user();

/// Until destroyed, files are opened with the rights of another user, of his group alone. Needs root. One
/// thread.
class FileRightsOf {
 public:
  explicit FileRightsOf(const User& user);
  ~FileRightsOf();
  FileRightsOf(const FileRightsOf&) = delete;
  FileRightsOf& operator=(const FileRightsOf&) = delete;

  /// Of access(2): whether the user may do `mode` with the file, symbolic links followed.
  [[nodiscard]] bool may(const std::string& path, int mode) const;
};

}  // namespace millrace::privileges
