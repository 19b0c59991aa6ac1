#include "privileges/become.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace millrace::privileges {
namespace {

bool drop_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  return ::syscall(SYS_capset, &header, none.data()) == 0;
}

/// Those that a program could get from its file.
bool drop_bounding_set() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return false;
  return true;
}

bool is_all(const User& user) {
  std::array<uid_t, 3> uids{};
  std::array<gid_t, 3> gids{};
  if (::getresuid(&uids[0], &uids[1], &uids[2]) != 0 || ::getresgid(&gids[0], &gids[1], &gids[2]) != 0)
    return false;
  for (const uid_t uid : uids)
    if (uid != user.uid) return false;
  for (const gid_t gid : gids)
    if (gid != user.gid) return false;
  return ::getgroups(0, nullptr) == 0 && ::setuid(0) != 0 && ::setgid(0) != 0;
}

}  // namespace

void keep_memory_off_the_disk() {
  const rlimit none{0, 0};
  static_cast<void>(::setrlimit(RLIMIT_CORE, &none));
}

base::Result<void> become(const User& user) {
  keep_memory_off_the_disk();
  const bool done = ::chdir("/") == 0 && drop_bounding_set() && ::setgroups(0, nullptr) == 0 &&
                    ::setresgid(user.gid, user.gid, user.gid) == 0 &&
                    ::setresuid(user.uid, user.uid, user.uid) == 0 && drop_capabilities() &&
                    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  if (!done)
    return base::fatal(fmt::format("cannot become user {}: {}", user.name, std::strerror(errno)), errno);
  if (!is_all(user)) return base::fatal(fmt::format("some rights of root's are left as user {}", user.name));
  return {};
}

}  // namespace millrace::privileges
