#include "app/config/secret_files.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace millrace::app {
namespace {

constexpr std::size_t kBytesMax = 64 * 1024;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { static_cast<void>(close()); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool close() { return number_ < 0 || ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_;
};

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

bool is_private(mode_t mode, uid_t owner) {
  const mode_t allowed = owner == 0 ? S_IRGRP : 0;
  return (mode & (S_IRWXG | S_IRWXO) & ~allowed) == 0;
}

base::Result<std::string> read_secret_file(const std::filesystem::path& path, std::string_view setting) {
  // Without waiting for somebody to write into it, should it be a pipe.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0)
    return base::fail(errno == ENOENT ? base::ErrorKind::kNotFound : base::ErrorKind::kInvalid,
                      fmt::format("{}: cannot read {}: {}", setting, path.string(), std::strerror(errno)));
  struct stat found{};
  if (::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode))
    return base::invalid(fmt::format("{}: {} is not a file", setting, path.string()));
  if (!is_private(found.st_mode, found.st_uid))
    return base::invalid(fmt::format("{}: {} is open to others (mode {:04o}): chmod 600 {}", setting,
                                     path.string(), found.st_mode & 07777U, path.string()));
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t length = ::read(file.get(), piece.data(), piece.size());
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
  const auto failed = [&] {
    return base::invalid(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  };
  const std::string partial = path.string() + ".partial";
  // What a write that was cut off left may be somebody's link or have another mode.
  ::unlink(partial.c_str());
  Descriptor file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0) return failed();
  if (::fchmod(file.get(), 0600) != 0 || !write_all(file.get(), text) || ::fsync(file.get()) != 0 ||
      !file.close() || ::rename(partial.c_str(), path.c_str()) != 0)
    return failed();
  const Descriptor folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) return failed();
  return {};
}

}  // namespace millrace::app
