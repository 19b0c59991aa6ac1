#include "privileges/become.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <fmt/format.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
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

/// The terminal that this was started from is root's shell's: what is pushed into its input runs as root.
/// Kernels before 6.2 let every process do so that has it open (TIOCSTI), the console's still do (TIOCLINUX).
bool keep_hands_off_the_terminal() {
#if defined(__x86_64__)
  constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif
  constexpr std::uint32_t kOtherNumbers = 0x40000000;  // calls by the x32 interface
  constexpr std::uint32_t kNoCall = 0xFFFFFFFF;        // one that a tracer has taken out
  constexpr std::uint32_t kRefused = SECCOMP_RET_ERRNO | EPERM;
  const auto load = [](std::size_t offset) {
    return sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
  };
  const auto end = [](std::uint32_t with) { return sock_filter{BPF_RET | BPF_K, 0, 0, with}; };
  // How many instructions are left out if the value is the one, and if it is not.
  const auto if_equal = [](std::uint32_t value, std::uint8_t then, std::uint8_t otherwise) {
    return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, then, otherwise, value};
  };
  std::array filter = {
      load(offsetof(seccomp_data, arch)),
      if_equal(kArchitecture, 0, 8),
      load(offsetof(seccomp_data, nr)),
      if_equal(kNoCall, 5, 0),
      sock_filter{BPF_JMP | BPF_JGE | BPF_K, 5, 0, kOtherNumbers},
      if_equal(__NR_ioctl, 0, 3),
      load(offsetof(seccomp_data, args[1])),  // of its two halves the lower one, which stands first
      if_equal(TIOCSTI, 2, 0),
      if_equal(TIOCLINUX, 1, 0),
      end(SECCOMP_RET_ALLOW),
      end(kRefused),
  };
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0;
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
  // 1 and not 0: a program that takes cores by a pipe gets one in spite of a limit of 0.
  // Source: Linux, Documentation/admin-guide/sysctl/kernel.rst (core_pattern) and fs/coredump.c.
  const rlimit none{1, 1};
  static_cast<void>(::setrlimit(RLIMIT_CORE, &none));
}

base::Result<void> become(const User& user) {
  keep_memory_off_the_disk();
  const bool done = ::chdir("/") == 0 && drop_bounding_set() && ::setgroups(0, nullptr) == 0 &&
                    ::setresgid(user.gid, user.gid, user.gid) == 0 &&
                    ::setresuid(user.uid, user.uid, user.uid) == 0 && drop_capabilities() &&
                    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && keep_hands_off_the_terminal();
  if (!done)
    return base::fatal(fmt::format("cannot become user {}: {}", user.name, std::strerror(errno)), errno);
  if (!is_all(user)) return base::fatal(fmt::format("some rights of root's are left as user {}", user.name));
  return {};
}

}  // namespace millrace::privileges
