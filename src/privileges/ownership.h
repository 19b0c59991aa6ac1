// Giving files that root made to the user who goes on with them.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "privileges/user.h"

namespace millrace::privileges {

/// Makes the directory if it is not there (and those above it, which stay root's), and gives it with all that
/// is in it to the user, readable for nobody else. Only a directory that is new, empty, or has the file
/// `mark` (or whose entries are directories that have it) is given away; any other must be the user's
/// already. Of its content, regular files and directories of root's change hands, and those of other users
/// stay theirs. No symbolic link is followed in it, nor on the way to it unless it is root's, and no file is
/// given that has a name outside of it: what another user has put there can not make root give him a file of
/// root's. Root alone. Errors: kInvalid, saying what to do.
[[nodiscard]] base::Result<void> give_directory(const std::filesystem::path& absolute, const User& user,
                                                std::string_view mark);

/// Makes the file if it is not there, and gives it to the user if it is root's and has one name. Root alone.
/// Errors: kInvalid.
[[nodiscard]] base::Result<void> give_file(const std::filesystem::path& absolute, const User& user);

}  // namespace millrace::privileges
