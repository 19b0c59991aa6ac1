// The files and the port that a embedded mariadbd needs.
#pragma once

#include <cstdint>
#include <filesystem>

#include "confinement/landlock.h"

namespace millrace::supervise {

/// To write: `directory`; to read: what packages install, the time zone, processors and disks; to run:
/// `server` alone; to listen on: `port`. So that FILE, DATA DIRECTORY and log files named by SQL stay in its
/// directory.
[[nodiscard]] confinement::FileAndPortRules mariadb_rules(const std::filesystem::path& server,
                                                          const std::filesystem::path& directory,
                                                          std::uint16_t port);

}  // namespace millrace::supervise
