#include "supervise/program.h"

#include <cstdlib>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

namespace millrace::supervise {

base::Result<std::filesystem::path> find_program(std::span<const std::string_view> names,
                                                 std::string_view package) {
  const char* const path = std::getenv("PATH");
  const std::string folders = fmt::format("{}:/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/usr/libexec",
                                          path == nullptr ? "" : path);
  for (const std::string_view name : names) {
    for (std::size_t begin = 0; begin <= folders.size();) {
      const std::size_t end = std::min(folders.find(':', begin), folders.size());
      const std::filesystem::path candidate =
          std::filesystem::path(folders.substr(begin, end - begin)) / name;
      if (end > begin && ::access(candidate.c_str(), X_OK) == 0) return candidate;
      begin = end + 1;
    }
  }
  return base::not_found(
      fmt::format("{} is not installed: install the Debian package {}", names.front(), package));
}

std::filesystem::path own_folder() {
  // Once: in another mount namespace the kernel no longer tells the path as this process sees it.
  static const std::filesystem::path folder = [] {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  }();
  return folder;
}

}  // namespace millrace::supervise
