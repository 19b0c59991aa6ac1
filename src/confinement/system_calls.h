// seccomp: which system calls a process may make.
#pragma once

#include "base/result.h"

namespace millrace::confinement {

/// Holds the whole process, for good, to the system calls of a program that serves: files by their paths,
/// threads, memory, time, and the sockets that it has. No new process or program, no new socket, nothing
/// about other processes, mounts, keys, modules, users or clocks. A call that is not on the list is answered
/// as by a kernel that lacks it (ENOSYS), so that libraries take their other road; one that is known to be
/// dangerous, with EPERM. Needs no_new_privs or root. Errors: kFatal (the kernel has no seccomp).
[[nodiscard]] base::Result<void> restrict_system_calls();

}  // namespace millrace::confinement
