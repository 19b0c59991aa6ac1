// The files that the engine needs to run.
#pragma once

#include <string>

#include "confinement/landlock.h"

namespace millrace::warehouse {

/// Its data directory to write; to read: the loaded libraries (for its stack traces), locales, time zones,
/// and what the kernel says about this process, the processors and the memory. No port.
[[nodiscard]] confinement::FileAndPortRules engine_files(const std::string& data_directory);

}  // namespace millrace::warehouse
