#include "privileges/ownership.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "privileges/paths.h"

namespace millrace::privileges {
namespace {

namespace fs = std::filesystem;

constexpr int kDepthMax = 64;
constexpr mode_t kOwnerAlone = 0700;
constexpr mode_t kForAllToPass = 0755;

std::unexpected<base::Error> cannot(std::string_view what, const fs::path& path) {
  return base::invalid(fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno)));
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using OpenDirectory = std::unique_ptr<DIR, CloseDirectory>;

/// The entries of a directory one by one, "." and ".." left out. `visit`: base::Result<void>(const char*
/// name).
template <class Visit>
base::Result<void> for_each_entry(int directory, const fs::path& shown, Visit visit) {
  const int again = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (again < 0) return cannot("read", shown);
  const OpenDirectory stream(::fdopendir(again));
  if (!stream) {
    ::close(again);
    return cannot("read", shown);
  }
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    MILLRACE_TRY(visit(entry->d_name));
  }
  if (errno != 0) return cannot("read", shown);
  return {};
}

bool has_mark(int directory, const std::string& mark) {
  struct stat status{};
  return ::fstatat(directory, mark.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
}

/// Whether it is empty, a marked directory, or one that holds nothing but such.
base::Result<bool> is_ours(int directory, const fs::path& shown, const std::string& mark) {
  if (has_mark(directory, mark)) return true;
  bool ours = true;
  MILLRACE_TRY(for_each_entry(directory, shown, [&](const char* name) -> base::Result<void> {
    const Descriptor inner(::openat(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    ours = ours && inner.is_open() && has_mark(inner.number(), mark);
    return {};
  }));
  return ours;
}

/// Whether the kernel keeps users from making a second name for a file that they may not write.
bool hard_links_are_protected() {
  std::ifstream stream("/proc/sys/fs/protected_hardlinks");
  int value = 0;
  return stream >> value && value == 1;
}

class Giving {
 public:
  explicit Giving(const User& user) : user_(user) {}

  base::Result<void> directory(int directory, const fs::path& shown, int depth = 0) {
    if (depth > kDepthMax)
      return base::invalid(fmt::format("{} lies too deep to be a part of the data", shown.string()));
    MILLRACE_TRY(for_each_entry(
        directory, shown, [&](const char* name) { return entry(directory, name, shown / name, depth); }));
    return give(directory, shown);
  }

  /// After the last one: a file of root's that has a name elsewhere too.
  [[nodiscard]] base::Result<void> check_links() const {
    for (const auto& [id, file] : linked_)
      if (file.seen < file.names)
        return base::invalid(
            fmt::format("{} is root's and has another name outside of the data directory, so it is not given "
                        "to {}: remove "
                        "it, or change its owner yourself",
                        file.shown.string(), user_.name));
    return {};
  }

 private:
  base::Result<void> entry(int directory, const char* name, const fs::path& shown, int depth) {
    // From here on it is this one file, whatever gets its name meanwhile.
    const Descriptor file(::openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status{};
    if (!file.is_open() || ::fstat(file.number(), &status) != 0) {
      if (errno == ENOENT) return {};  // it has gone
      return cannot("open", shown);
    }
    if (S_ISDIR(status.st_mode)) return this->directory(file.number(), shown, depth + 1);
    if (!S_ISREG(status.st_mode) || status.st_uid != 0) return {};
    if (status.st_nlink > 1) {
      // The stores link files of their own among each other; all names must be found here. Without the
      // kernel's protection a user could rename one while we look, so that it is found twice.
      Linked& linked = linked_[{status.st_dev, status.st_ino}];
      linked.names = status.st_nlink;
      linked.shown = shown;
      if (++linked.seen < linked.names) return {};
      if (!protected_) {
        linked.seen = 0;
        return {};
      }
    }
    return give(file.number(), shown);
  }

  [[nodiscard]] base::Result<void> give(int file, const fs::path& shown) const {
    struct stat status{};
    if (::fstat(file, &status) != 0) return cannot("open", shown);
    if (status.st_uid != 0) return {};
    if (::fchownat(file, "", user_.uid, user_.gid, AT_EMPTY_PATH) != 0)
      return cannot("change the owner of", shown);
    return {};
  }

  struct Linked {
    nlink_t names = 0;
    nlink_t seen = 0;
    fs::path shown;
  };

  const User& user_;
  const bool protected_ = hard_links_are_protected();
  std::map<std::pair<dev_t, ino_t>, Linked> linked_;
};

/// The directory, made if it is not there. Shape: open, and whether it is new.
base::Result<std::pair<Descriptor, bool>> make_directory(const fs::path& real) {
  Descriptor here(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  bool is_new = false;
  fs::path shown = "/";
  for (const fs::path& part : real.relative_path()) {
    shown /= part;
    is_new = ::mkdirat(here.number(), part.c_str(), kOwnerAlone) == 0;
    if (!is_new && errno != EEXIST) return cannot("make the data directory", shown);
    const int next = ::openat(here.number(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0) return cannot("use the data directory", shown);
    // One above the directory itself: root's, as others make them.
    if (is_new && shown != real && ::fchmodat(here.number(), part.c_str(), kForAllToPass, 0) != 0)
      return cannot("make the data directory", shown);
    here = Descriptor(next);
  }
  return std::pair(std::move(here), is_new);
}

base::Result<void> check_links_on_the_way(const fs::path& absolute, const RealPath& real) {
  for (const SymbolicLink& link : real.passed)
    if (link.owner != 0)
      return base::invalid(
          fmt::format("{} leads over the symbolic link {}, which is not root's: give the path "
                      "that it leads to, {}",
                      absolute.string(), link.place.string(), real.path.string()));
  return {};
}

}  // namespace

base::Result<void> give_directory(const fs::path& absolute, const User& user, std::string_view mark) {
  MILLRACE_TRY_ASSIGN(const RealPath real, follow(absolute));
  MILLRACE_TRY(check_links_on_the_way(absolute, real));
  MILLRACE_TRY_ASSIGN(const auto made, make_directory(real.path));
  const auto& [directory, is_new] = made;
  struct stat status{};
  if (::fstat(directory.number(), &status) != 0) return cannot("open", absolute);
  if (!is_new) {
    MILLRACE_TRY_ASSIGN(const bool ours, is_ours(directory.number(), absolute, std::string(mark)));
    if (!ours && status.st_uid != user.uid)
      return base::invalid(fmt::format(
          "{} holds other files than a stack's, so it is not given to the user {}: choose another data "
          "directory, or change its owner yourself (chown {} {})",
          absolute.string(), user.name, user.name, absolute.string()));
    if (status.st_uid != 0 && status.st_uid != user.uid)
      return base::invalid(fmt::format(
          "{} belongs to user number {}: run as that one (--run-as {}), or give it away (chown -R {} {})",
          absolute.string(), status.st_uid, status.st_uid, user.name, absolute.string()));
    if (!ours) return {};
  }
  Giving giving(user);
  MILLRACE_TRY(giving.directory(directory.number(), absolute));
  MILLRACE_TRY(giving.check_links());
  // By its magic link: an O_PATH descriptor takes no fchmod.
  if (::chmod(fmt::format("/proc/self/fd/{}", directory.number()).c_str(), kOwnerAlone) != 0)
    return cannot("change the mode of", absolute);
  return {};
}

base::Result<void> give_file(const fs::path& absolute, const User& user) {
  MILLRACE_TRY_ASSIGN(const RealPath real, follow(absolute));
  MILLRACE_TRY(check_links_on_the_way(absolute, real));
  MILLRACE_TRY_ASSIGN(const Descriptor parent, open_as_it_is(real.path.parent_path()));
  const std::string name = real.path.filename().string();
  const Descriptor made(
      ::openat(parent.number(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!made.is_open() && errno != EEXIST) return cannot("make", absolute);
  const Descriptor file(::openat(parent.number(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!file.is_open() || ::fstat(file.number(), &status) != 0) return cannot("open", absolute);
  if (!S_ISREG(status.st_mode) || status.st_uid != 0 || status.st_nlink > 1) return {};
  if (::fchownat(file.number(), "", user.uid, user.gid, AT_EMPTY_PATH) != 0)
    return cannot("change the owner of", absolute);
  return {};
}

}  // namespace millrace::privileges
