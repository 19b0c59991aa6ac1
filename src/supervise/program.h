// Finding the programs that we start.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::supervise {

/// The first of `names` in PATH, then in the folders where servers are installed but PATH of an ordinary user
/// does not lead. Errors: kNotFound, saying that `package` must be installed.
[[nodiscard]] base::Result<std::filesystem::path> find_program(std::span<const std::string_view> names,
                                                               std::string_view package);

/// The folder of the running program.
[[nodiscard]] std::filesystem::path own_folder();

}  // namespace millrace::supervise
