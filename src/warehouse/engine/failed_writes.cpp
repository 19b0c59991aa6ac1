#include "warehouse/engine/failed_writes.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include <dlfcn.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

constexpr std::size_t kFilesMax = std::size_t{1} << 16u;
constexpr std::size_t kFoldersMax = 256;

/// By descriptor: 0, or the error of a write that failed.
constinit std::array<std::atomic<int>, kFilesMax> failed_by_file{};

/// Where the files lie, as it was when the write failed: a part that is given up is renamed first. The other
/// files of a part whose sync has reported a failure are closed unsynced. Never destroyed: files are closed
/// until the end.
struct Failures {
  std::mutex mutex;
  std::map<int, std::string> folder_by_file;  // guarded by mutex
  std::deque<std::string> told;               // guarded by mutex; folders
};
Failures& failures() {
  static auto* const all = new Failures;
  return *all;
}

std::string folder_of(int file) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
  const std::string_view text(path.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
  return std::string(text.substr(0, text.rfind('/')));
}

// Found once each; initialised on first use, because the first call may come before our own constructors.
template <class Function>
Function* next_in_line(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

[[noreturn]] void end_program(int code) {
  char text[200];
  const int size = std::snprintf(text, sizeof text,
                                 "millrace-warehouse: a file could not be written (%s) and is closed "
                                 "unfinished; stopping, so that nothing "
                                 "is built on it\n",
                                 std::strerror(code));
  // Not through our own write, whose failure would end here again.
  static const auto write_on = next_in_line<ssize_t(int, const void*, std::size_t)>("write");
  if (write_on(STDERR_FILENO, text, static_cast<std::size_t>(size)) < 0)
    ::_exit(millrace::warehouse::kExitFailedWrite);
  ::_exit(millrace::warehouse::kExitFailedWrite);
}

ssize_t noted(int file, ssize_t written) {
  if (written >= 0) return written;
  const int code = errno;
  // What is written to the log may be lost.
  if (code == EINTR || code == EAGAIN || code == EBADF || file <= STDERR_FILENO) return written;
  struct stat about{};
  if (::fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
    if (static_cast<std::size_t>(file) >= kFilesMax) end_program(code);
    Failures& all = failures();
    const std::lock_guard lock(all.mutex);
    all.folder_by_file[file] = folder_of(file);
    failed_by_file[static_cast<std::size_t>(file)] = code;
  }
  errno = code;
  return written;
}

/// Whether a write to the file had failed; errno says how.
bool write_had_failed(int file) {
  if (file < 0 || static_cast<std::size_t>(file) >= kFilesMax) return false;
  const int code = failed_by_file[static_cast<std::size_t>(file)];
  if (code == 0) return false;
  Failures& all = failures();
  const std::lock_guard lock(all.mutex);
  all.told.push_back(all.folder_by_file[file]);
  if (all.told.size() > kFoldersMax) all.told.pop_front();
  errno = code;
  return true;
}

bool was_told(int file) {
  Failures& all = failures();
  const std::lock_guard lock(all.mutex);
  const auto folder = all.folder_by_file.extract(file);
  return !folder.empty() && std::ranges::find(all.told, folder.mapped()) != all.told.end();
}

}  // namespace

void millrace::warehouse::watch_failed_writes() {
  ::signal(SIGXFSZ, SIG_IGN);
}

extern "C" {

ssize_t write(int file, const void* bytes, std::size_t size) {
  static const auto next = next_in_line<ssize_t(int, const void*, std::size_t)>("write");
  return noted(file, next(file, bytes, size));
}

ssize_t pwrite(int file, const void* bytes, std::size_t size, off_t offset) {
  static const auto next = next_in_line<ssize_t(int, const void*, std::size_t, off_t)>("pwrite");
  return noted(file, next(file, bytes, size, offset));
}

ssize_t pwrite64(int file, const void* bytes, std::size_t size, off64_t offset) {
  static const auto next = next_in_line<ssize_t(int, const void*, std::size_t, off64_t)>("pwrite64");
  return noted(file, next(file, bytes, size, offset));
}

ssize_t writev(int file, const iovec* pieces, int count) {
  static const auto next = next_in_line<ssize_t(int, const iovec*, int)>("writev");
  return noted(file, next(file, pieces, count));
}

int fsync(int file) {
  static const auto next = next_in_line<int(int)>("fsync");
  return write_had_failed(file) ? -1 : next(file);
}

int fdatasync(int file) {
  static const auto next = next_in_line<int(int)>("fdatasync");
  return write_had_failed(file) ? -1 : next(file);
}

int close(int file) {
  static const auto next = next_in_line<int(int)>("close");
  if (file >= 0 && static_cast<std::size_t>(file) < kFilesMax) {
    const int code = failed_by_file[static_cast<std::size_t>(file)].exchange(0);
    if (code != 0 && !was_told(file)) end_program(code);
  }
  return next(file);
}

}  // extern "C"
