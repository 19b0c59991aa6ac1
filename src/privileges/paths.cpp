#include "privileges/paths.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <deque>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

namespace millrace::privileges {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLinksMax = 40;  // as the kernel's own

base::Error cannot(const fs::path& path, int code) {
  return {base::ErrorKind::kInvalid, fmt::format("{}: {}", path.string(), std::strerror(code)), code};
}

}  // namespace

base::Result<RealPath> follow(const fs::path& absolute) {
  MILLRACE_ASSERT(absolute.is_absolute());
  RealPath real{.path = "/", .passed = {}, .exists = true};
  const fs::path relative = absolute.relative_path();
  std::deque<fs::path> rest(relative.begin(), relative.end());
  while (!rest.empty()) {
    const fs::path part = std::move(rest.front());
    rest.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      real.path = real.path.parent_path();
      continue;
    }
    const fs::path here = real.path / part;
    struct stat status{};
    if (!real.exists || ::lstat(here.c_str(), &status) != 0) {
      if (real.exists && errno != ENOENT) return std::unexpected(cannot(here, errno));
      real.exists = false;
      real.path = here;
      continue;
    }
    if (!S_ISLNK(status.st_mode)) {
      real.path = here;
      continue;
    }
    std::array<char, PATH_MAX> text{};
    const ssize_t size = ::readlink(here.c_str(), text.data(), text.size());
    if (size < 0) return std::unexpected(cannot(here, errno));
    if (real.passed.size() == kLinksMax) return std::unexpected(cannot(absolute, ELOOP));
    const fs::path target(std::string(text.data(), static_cast<std::size_t>(size)));
    real.passed.push_back({here, target, status.st_uid});
    if (target.is_absolute()) real.path = "/";
    const fs::path parts = target.relative_path();
    rest.insert(rest.begin(), parts.begin(), parts.end());
  }
  return real;
}

base::Result<Descriptor> open_as_it_is(const fs::path& real) {
  MILLRACE_ASSERT(real.is_absolute());
  Descriptor here(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const fs::path& part : real.relative_path()) {
    const int next = ::openat(here.number(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0) return std::unexpected(cannot(real, errno));
    here = Descriptor(next);
  }
  struct stat status{};
  if (::fstat(here.number(), &status) != 0) return std::unexpected(cannot(real, errno));
  if (S_ISLNK(status.st_mode)) return std::unexpected(cannot(real, ELOOP));
  return here;
}

}  // namespace millrace::privileges
