// The step from root to an ordinary user, without a way back.
#pragma once

#include "base/result.h"
#include "privileges/user.h"

namespace millrace::privileges {

/// From here on this process, and whatever it starts, is the user's: all four user and group ids, no
/// supplementary group, no capability, none to be gained by another program, no core dump, and nothing pushed
/// into the input of the terminal that it was started from. The kernel shows
/// its memory and files under /proc to root alone. The working directory is /. Root alone, with one thread.
/// Errors: kFatal; the process must end then.
[[nodiscard]] base::Result<void> become(const User& user);

/// What any server wants, whoever runs it: no core dump, which would hold passwords and people's data.
void keep_memory_off_the_disk();

}  // namespace millrace::privileges
