// A process that gives up, for good, what it does not need.
#pragma once

#include <string>

#include "base/result.h"
#include "confinement/landlock.h"

namespace millrace::confinement {

/// What is in force in a process.
struct Confinement {
  int landlock_version = 0;  ///< 0: the kernel has none that can be used, so files are not held back.
};

/// "Landlock 7 and seccomp", for a log.
[[nodiscard]] std::string describe(const Confinement& confinement);

/// Holds this process and all threads that it starts to the rules and to the system calls of
/// `restrict_system_calls`; lets it gain no privileges and dump no core. To be called
/// before the first thread is started: Landlock holds the calling thread only. Where the kernel has no
/// Landlock, the rest is in force. Errors: kFatal (there are other threads, or the kernel refuses); the
/// process may be half confined then and should end.
[[nodiscard]] base::Result<Confinement> confine_this_process(const FileAndPortRules& rules);

/// Blanks in /proc/self/environ the variables whose names say that they hold a secret (PASSWORD, SECRET,
/// TOKEN, KEY, CREDENTIAL, AUTH, URL); getenv still finds them. To be called before the first thread is
/// started.
void hide_secrets_of_environment();

}  // namespace millrace::confinement
