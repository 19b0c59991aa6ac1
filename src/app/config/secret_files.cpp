#include "app/config/secret_files.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/descriptor.h"

namespace millrace::app {
namespace {

constexpr std::size_t kBytesMax = 64 * 1024;

}  // namespace

bool is_private(mode_t mode, uid_t owner) {
  const mode_t allowed = owner == 0 ? S_IRGRP : 0;
  return (mode & (S_IRWXG | S_IRWXO) & ~allowed) == 0;
}

base::Result<std::string> read_secret_file(const std::filesystem::path& path, std::string_view setting) {
  // Without waiting for somebody to write into it, should it be a pipe.
  const base::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open())
    return base::fail(errno == ENOENT ? base::ErrorKind::kNotFound : base::ErrorKind::kInvalid,
                      fmt::format("{}: cannot read {}: {}", setting, path.string(), std::strerror(errno)));
  struct stat found{};
  if (::fstat(file.number(), &found) != 0 || !S_ISREG(found.st_mode))
    return base::invalid(fmt::format("{}: {} is not a file", setting, path.string()));
  if (!is_private(found.st_mode, found.st_uid))
    return base::invalid(fmt::format("{}: {} is open to others (mode {:04o}): chmod 600 {}", setting,
                                     path.string(), found.st_mode & 07777U, path.string()));
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t length = ::read(file.number(), piece.data(), piece.size());
    if (length < 0 && errno == EINTR) continue;
    if (length < 0)
      return base::invalid(
          fmt::format("{}: cannot read {}: {}", setting, path.string(), std::strerror(errno)));
    if (length == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(length));
    if (text.size() > kBytesMax)
      return base::invalid(fmt::format("{}: {} has more than {} bytes", setting, path.string(), kBytesMax));
  }
}

base::Result<void> write_secret_file(const std::filesystem::path& path, std::string_view text) {
  if (auto written = base::replace_file(path, text); !written)
    return base::invalid(std::move(written).error().message);
  return {};
}

}  // namespace millrace::app
