#include "privileges/mounts.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "privileges/paths.h"

namespace millrace::privileges {
namespace {

namespace fs = std::filesystem;

constexpr unsigned long kCoverFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

struct Reached {
  Need need;
  RealPath real;
};

bool is_below(const fs::path& path, const fs::path& directory) {
  const auto [end, ignored] = std::mismatch(directory.begin(), directory.end(), path.begin(), path.end());
  return end == directory.end() && path != directory;
}

/// The first directory above the path that the user may not pass through.
std::optional<fs::path> barrier_of(const fs::path& path, const FileRightsOf& rights) {
  fs::path here;
  for (const fs::path& part : path.parent_path()) {
    here /= part;
    if (!rights.may(here.string(), X_OK)) return here;
  }
  return std::nullopt;
}

/// None of them lies in another: the user reaches each but cannot pass through it.
std::set<fs::path> barriers_of(const std::vector<Reached>& all, const User& user) {
  const FileRightsOf rights(user);
  std::set<fs::path> barriers;
  for (const Reached& one : all) {
    if (auto barrier = barrier_of(one.real.path, rights)) barriers.insert(*barrier);
    for (const SymbolicLink& link : one.real.passed)
      if (auto barrier = barrier_of(link.place, rights)) barriers.insert(*barrier);
  }
  return barriers;
}

std::unexpected<base::Error> refused(std::string_view what, const fs::path& barrier, const User& user) {
  return base::invalid(
      fmt::format("user {} may not enter {}, and {} failed: {}; keep the data directory and the cache "
                  "(XDG_CACHE_HOME) where every "
                  "user may go, or choose a user who may enter it (--run-as root: as root)",
                  user.name, barrier.string(), what, std::strerror(errno)));
}

/// Detached copies of what is needed, taken before anything is covered.
base::Result<std::vector<std::pair<const Reached*, Descriptor>>> take_sources(const std::vector<Reached>& all,
                                                                              const fs::path& barrier,
                                                                              const User& user) {
  std::vector<std::pair<const Reached*, Descriptor>> sources;
  for (const Reached& one : all) {
    if (!is_below(one.real.path, barrier)) continue;
    MILLRACE_TRY_ASSIGN(const Descriptor place, open_as_it_is(one.real.path));
    Descriptor tree(::open_tree(
        place.number(), "",
        static_cast<unsigned>(AT_EMPTY_PATH | AT_RECURSIVE) | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!tree.is_open()) return refused("a mount", barrier, user);
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (!one.need.is_writable) attributes.attr_set |= MOUNT_ATTR_RDONLY;
    if (::mount_setattr(tree.number(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) !=
        0)
      return refused("a mount", barrier, user);
    sources.emplace_back(&one, std::move(tree));
  }
  // One that lies in another is mounted after it.
  std::ranges::sort(sources, {}, [](const auto& source) { return source.first->real.path.native().size(); });
  return sources;
}

/// The place for a mount: a file for a file, a directory for a directory.
bool make_place(const fs::path& path, bool is_directory) {
  std::error_code error;
  fs::create_directories(is_directory ? path : path.parent_path(), error);
  if (error) errno = error.value();
  if (error || is_directory) return !error;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0444));
  return file.is_open();
}

/// The links on the way to the needs that a cover hides.
bool make_links(const std::vector<Reached>& all, const fs::path& barrier) {
  for (const Reached& one : all)
    for (const SymbolicLink& link : one.real.passed) {
      if (!is_below(link.place, barrier)) continue;
      std::error_code error;
      if (fs::symlink_status(link.place, error).type() != fs::file_type::not_found) continue;
      fs::create_directories(link.place.parent_path(), error);
      if (::symlink(link.target.c_str(), link.place.c_str()) != 0) return false;
    }
  return true;
}

base::Result<void> cover(const fs::path& barrier, const std::vector<Reached>& all, const User& user) {
  MILLRACE_TRY_ASSIGN(const auto sources, take_sources(all, barrier, user));
  if (::mount("tmpfs", barrier.c_str(), "tmpfs", kCoverFlags, "mode=0755,size=1m,nr_inodes=4096") != 0)
    return refused("a mount", barrier, user);
  for (const auto& [one, tree] : sources) {
    struct stat status{};
    if (::fstat(tree.number(), &status) != 0 || !make_place(one->real.path, S_ISDIR(status.st_mode)) ||
        ::move_mount(tree.number(), "", AT_FDCWD, one->real.path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
      return refused("a mount", barrier, user);
  }
  if (!make_links(all, barrier)) return refused("a symbolic link", barrier, user);
  if (::mount(nullptr, barrier.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kCoverFlags, nullptr) !=
      0)
    return refused("a mount", barrier, user);
  return {};
}

base::Result<void> check_reached(const std::vector<Reached>& all, const User& user) {
  const FileRightsOf rights(user);
  for (const Reached& one : all) {
    struct stat status{};
    const bool is_directory = ::stat(one.need.path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    const int mode = R_OK | (is_directory ? X_OK : 0) | (one.need.is_writable ? W_OK : 0);
    if (rights.may(one.need.path.string(), mode)) continue;
    return base::invalid(fmt::format(
        "user {} may not {} {}: {}; change its mode or owner, or choose another user (--run-as)", user.name,
        one.need.is_writable ? "write" : "read", one.need.path.string(), std::strerror(errno)));
  }
  return {};
}

}  // namespace

base::Result<void> bring_within_reach(const std::vector<Need>& needs, const User& user) {
  std::vector<Reached> all;
  for (const Need& need : needs) {
    MILLRACE_TRY_ASSIGN(RealPath real, follow(need.path));
    if (real.exists) all.push_back({need, std::move(real)});
  }
  const std::set<fs::path> barriers = barriers_of(all, user);
  if (!barriers.empty()) {
    const fs::path& first = *barriers.begin();
    if (first == "/")
      return base::invalid(fmt::format("user {} may not enter /: change its mode", user.name));
    if (::unshare(CLONE_NEWNS) != 0) return refused("a mount namespace", first, user);
    // Not shared with the others any more; what they mount later comes here all the same.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
      return refused("a mount namespace", first, user);
    const mode_t before = ::umask(022);  // for the empty directories on the way
    base::Result<void> covered = {};
    for (const fs::path& barrier : barriers)
      if (covered) covered = cover(barrier, all, user);
    ::umask(before);
    MILLRACE_TRY(std::move(covered));
  }
  return check_reached(all, user);
}

}  // namespace millrace::privileges
