// Secrets that came in the process's environment.
#pragma once

#include <optional>
#include <string>

namespace millrace::base {

/// Removes the variable and overwrites its value where the kernel keeps it, so that neither /proc/PID/environ
/// of this process nor the environment of a child shows it again. What other processes were given, such as
/// the shell that started this one, keeps its copy. Shape: the value, or nothing if the variable was not set.
/// Only while there is one thread.
std::optional<std::string> take_from_environment(const std::string& name);

}  // namespace millrace::base
