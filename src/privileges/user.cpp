#include "privileges/user.h"

#include <array>
#include <limits>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/text.h"

namespace millrace::privileges {
namespace {

constexpr std::size_t kEntryBytes = 16'384;

template <class Lookup>
std::optional<User> entry_of(Lookup lookup) {
  std::vector<char> text(kEntryBytes);
  passwd entry{};
  passwd* found = nullptr;
  if (lookup(&entry, text.data(), text.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return User{found->pw_name, found->pw_uid, found->pw_gid};
}

std::optional<User> user_named(const std::string& name) {
  return entry_of([&](auto... rest) { return ::getpwnam_r(name.c_str(), rest...); });
}

std::optional<User> user_numbered(uid_t uid) {
  return entry_of([&](auto... rest) { return ::getpwuid_r(uid, rest...); });
}

std::optional<std::uint32_t> id_of(std::string_view text) {
  const auto number = base::parse_int<std::int64_t>(text);
  // The highest means "leave it" in system calls.
  if (!number || *number < 0 || *number >= std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

}  // namespace

base::Result<User> find_user(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789:") != std::string_view::npos) {
    auto user = user_named(std::string(text));
    if (!user) return base::not_found(fmt::format("there is no user '{}'", base::printable(text, 40)));
    return std::move(*user);
  }
  const std::size_t colon = text.find(':');
  const auto uid = id_of(text.substr(0, colon));
  if (!uid) return base::invalid(fmt::format("'{}' is not a user's number", base::printable(text, 40)));
  const auto known = user_numbered(*uid);
  User user = known.value_or(User{std::to_string(*uid), *uid, 0});
  if (colon != std::string_view::npos) {
    const auto gid = id_of(text.substr(colon + 1));
    if (!gid)
      return base::invalid(
          fmt::format("'{}' is not a user's and a group's number", base::printable(text, 40)));
    user.gid = *gid;
  } else if (!known) {
    return base::invalid(
        fmt::format("no user has the number {}: give its group too, as in {}:{}", *uid, *uid, *uid));
  }
  return user;
}

User current_user() {
  const uid_t uid = ::geteuid();
  return user_numbered(uid).value_or(User{std::to_string(uid), uid, ::getegid()});
}

FileRightsOf::FileRightsOf(const User& user) {
  MILLRACE_ASSERT(::geteuid() == 0);
  // Root's own supplementary groups would open files to a user who is not in them.
  MILLRACE_ASSERT(::setgroups(0, nullptr) == 0);
  ::setfsgid(user.gid);
  // The kernel takes away the capabilities that overrule a file's mode as well, until it is root's turn
  // again.
  ::setfsuid(user.uid);
}

FileRightsOf::~FileRightsOf() {
  ::setfsuid(0);
  ::setfsgid(0);
}

bool FileRightsOf::may(const std::string& path, int mode) const {
  return ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0;
}

}  // namespace millrace::privileges
