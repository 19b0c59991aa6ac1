#include "base/atomic_file.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace millrace::base {
namespace {

std::unexpected<Error> cannot_write(const std::filesystem::path& path) {
  const int reason = errno;
  return fatal(fmt::format("cannot write {}: {}", path.string(), std::strerror(reason)), reason);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path, std::filesystem::path partial, Descriptor file)
    : path_(std::move(path)), partial_(std::move(partial)), file_(std::move(file)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      partial_(std::exchange(other.partial_, {})),
      file_(std::move(other.file_)) {}

AtomicFile::~AtomicFile() {
  if (!partial_.empty()) ::unlink(partial_.c_str());
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path, mode_t mode) {
  const std::filesystem::path partial = path.string() + ".partial";
  // What a write that was cut off left may be somebody's link or have another mode.
  ::unlink(partial.c_str());
  Descriptor file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file.is_open()) return cannot_write(path);
  AtomicFile made(path, partial, std::move(file));
  if (::fchmod(made.file_.number(), mode) != 0) return cannot_write(path);
  return made;
}

Result<void> AtomicFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file_.number(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot_write(path_);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> AtomicFile::commit() {
  if (::fsync(file_.number()) != 0 || !file_.close() || ::rename(partial_.c_str(), path_.c_str()) != 0)
    return cannot_write(path_);
  partial_.clear();
  return sync_directory(path_.has_parent_path() ? path_.parent_path() : ".");
}

Result<void> replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  MILLRACE_TRY_ASSIGN(AtomicFile file, AtomicFile::create(path, mode));
  MILLRACE_TRY(file.write(text));
  return file.commit();
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  const Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open() || ::fsync(opened.number()) != 0) return cannot_write(directory);
  return {};
}

}  // namespace millrace::base
