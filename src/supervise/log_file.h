// The log files of child processes: bounded, and quoted when a child fails.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace millrace::supervise {

/// If the file is larger than `bytes_max`: its content becomes FILE.1 (the one before goes), and it starts
/// again empty. The writer must append; lines that it writes at this moment may be lost.
void bound_log(const std::filesystem::path& file, std::uintmax_t bytes_max);

/// The last few lines that say error, else the last few lines, on one line; empty when there is nothing.
[[nodiscard]] std::string log_tail(const std::filesystem::path& file);

}  // namespace millrace::supervise
