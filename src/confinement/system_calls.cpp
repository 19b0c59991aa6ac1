#include "confinement/system_calls.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <type_traits>

#include <asm/termbits.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace millrace::confinement {
namespace {

using Filter = std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>,
                               decltype([](void* filter) { seccomp_release(filter); })>;

// Allowed whatever their arguments. Files: which ones is Landlock's business.
constexpr const char* kAllowed[] = {
    // files
    "access", "chdir", "chmod", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
    "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat", "fcntl", "fdatasync",
    "flock", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents", "getdents64",
    "getxattr", "fgetxattr", "lgetxattr", "link", "linkat", "lseek", "lstat", "mkdir", "mkdirat",
    "newfstatat", "open", "openat", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read",
    "readahead", "readlink", "readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir", "sendfile",
    "splice", "stat", "statfs", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs",
    "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "write", "writev",
    // asynchronous reading, which the engine uses for direct I/O
    "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit",
    // waiting
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd",
    "eventfd2", "pause", "pipe", "pipe2", "poll", "ppoll", "pselect6", "select", "signalfd", "signalfd4",
    "timerfd_create", "timerfd_gettime", "timerfd_settime",
    // the sockets that are there
    "accept", "accept4", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom", "recvmsg",
    "setsockopt", "shutdown",
    // memory
    "brk", "get_mempolicy", "madvise", "membarrier", "mincore", "mlock", "mlock2", "mlockall", "mmap",
    "mprotect", "mremap", "msync", "munlock", "munlockall", "munmap",
    // threads, and what a process asks about itself
    "arch_prctl", "capget", "exit", "exit_group", "futex", "futex_waitv", "get_robust_list", "getcpu",
    "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
    "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "rseq",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getparam",
    "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_yield", "set_robust_list",
    "set_tid_address", "wait4", "waitid",
    // signals
    "restart_syscall", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "sigaltstack",
    // time and the machine
    "alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "getrandom", "gettimeofday",
    "nanosleep", "setitimer", "sysinfo", "time", "timer_create", "timer_delete", "timer_getoverrun",
    "timer_gettime", "timer_settime", "times", "uname"};

// Refused with EPERM rather than as unknown: a library that is told "unknown" may try the same by another
// call.
constexpr const char* kRefused[] = {"execve",
                                    "execveat",
                                    "fork",
                                    "vfork",
                                    "socket",
                                    "socketpair",
                                    "connect",
                                    "bind",
                                    "sendmsg",
                                    "sendmmsg",
                                    "ptrace",
                                    "process_vm_readv",
                                    "process_vm_writev",
                                    "process_madvise",
                                    "kcmp",
                                    "pidfd_getfd",
                                    "pidfd_open",
                                    "pidfd_send_signal",
                                    "tkill",
                                    "mount",
                                    "umount2",
                                    "move_mount",
                                    "open_tree",
                                    "fsopen",
                                    "fsconfig",
                                    "fsmount",
                                    "fspick",
                                    "mount_setattr",
                                    "pivot_root",
                                    "chroot",
                                    "unshare",
                                    "setns",
                                    "open_by_handle_at",
                                    "name_to_handle_at",
                                    "init_module",
                                    "finit_module",
                                    "delete_module",
                                    "kexec_load",
                                    "kexec_file_load",
                                    "reboot",
                                    "swapon",
                                    "swapoff",
                                    "acct",
                                    "quotactl",
                                    "quotactl_fd",
                                    "keyctl",
                                    "add_key",
                                    "request_key",
                                    "io_uring_setup",
                                    "io_uring_enter",
                                    "io_uring_register",
                                    "bpf",
                                    "perf_event_open",
                                    "userfaultfd",
                                    "fanotify_init",
                                    "fanotify_mark",
                                    "lookup_dcookie",
                                    "syslog",
                                    "personality",
                                    "modify_ldt",
                                    "iopl",
                                    "ioperm",
                                    "setuid",
                                    "setgid",
                                    "setreuid",
                                    "setregid",
                                    "setresuid",
                                    "setresgid",
                                    "setfsuid",
                                    "setfsgid",
                                    "setgroups",
                                    "capset",
                                    "setpgid",
                                    "setsid",
                                    "setrlimit",
                                    "setpriority",
                                    "ioprio_set",
                                    "sched_setscheduler",
                                    "sched_setparam",
                                    "sched_setattr",
                                    "settimeofday",
                                    "clock_settime",
                                    "clock_adjtime",
                                    "adjtimex",
                                    "sethostname",
                                    "setdomainname",
                                    "vhangup",
                                    "mknod",
                                    "mknodat",
                                    "chown",
                                    "fchown",
                                    "lchown",
                                    "fchownat",
                                    "setxattr",
                                    "lsetxattr",
                                    "fsetxattr",
                                    "removexattr",
                                    "lremovexattr",
                                    "fremovexattr",
                                    "shmget",
                                    "shmat",
                                    "shmctl",
                                    "msgget",
                                    "semget",
                                    "mq_open",
                                    "memfd_secret",
                                    "seccomp"};

// What file descriptors are asked. No terminal is written to by its ioctl.
constexpr unsigned long kControls[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, FICLONE};
constexpr int kOwnSettings[] = {PR_SET_NAME,       PR_GET_NAME,       PR_SET_VMA,      PR_GET_DUMPABLE,
                                PR_SET_TIMERSLACK, PR_GET_TIMERSLACK, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS};
constexpr const char* kSignals[] = {"kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"};

/// One rule; `conditions` is empty, or all must hold. What this machine's library does not know by name is
/// left out, and so the filter's default holds for it.
int add(const Filter& filter, std::uint32_t action, const char* name,
        std::initializer_list<scmp_arg_cmp> conditions = {}) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number < 0) return 0;
  return seccomp_rule_add_array(filter.get(), action, number, static_cast<unsigned>(conditions.size()),
                                conditions.begin());
}

scmp_arg_cmp equals(unsigned argument, std::uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp bits(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

int add_conditional(const Filter& filter) {
  constexpr std::uint32_t kDeny = SCMP_ACT_ERRNO(EPERM);
  constexpr std::uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                           CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  const auto self = static_cast<std::uint64_t>(::getpid());
  int code = 0;
  const auto also = [&](int result) {
    if (code == 0) code = result;
  };
  // Threads only. clone3 hides its flags behind a pointer; told that there is none, the C library calls
  // clone.
  also(add(filter, SCMP_ACT_ALLOW, "clone", {bits(0, CLONE_THREAD | kNewNamespaces, CLONE_THREAD)}));
  also(add(filter, kDeny, "clone", {bits(0, CLONE_THREAD, 0)}));
  // To the peer of a connection, but to no address, which could also connect (MSG_FASTOPEN).
  also(add(filter, SCMP_ACT_ALLOW, "sendto", {equals(4, 0)}));
  for (const unsigned long control : kControls)
    also(add(filter, SCMP_ACT_ALLOW, "ioctl", {bits(1, 0xffffffffU, control)}));
  for (const int setting : kOwnSettings)
    also(add(filter, SCMP_ACT_ALLOW, "prctl", {bits(0, 0xffffffffU, static_cast<std::uint64_t>(setting))}));
  for (const char* signal : kSignals) also(add(filter, SCMP_ACT_ALLOW, signal, {bits(0, 0xffffffffU, self)}));
  // To ask for limits, not to change them.
  also(add(filter, SCMP_ACT_ALLOW, "prlimit64", {equals(0, 0), equals(2, 0)}));
  return code;
}

int fill(const Filter& filter) {
  // A program of another architecture (32 bits, x32) has numbers that the rules say nothing about.
  int code = seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (code == 0) code = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  // A search tree instead of a chain of some two hundred comparisons.
  if (code == 0) code = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  for (const char* name : kAllowed)
    if (code == 0) code = add(filter, SCMP_ACT_ALLOW, name);
  for (const char* name : kRefused)
    if (code == 0) code = add(filter, SCMP_ACT_ERRNO(EPERM), name);
  return code == 0 ? add_conditional(filter) : code;
}

}  // namespace

base::Result<void> restrict_system_calls() {
  const Filter filter(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)));
  if (!filter) return base::fatal("seccomp: no memory for the filter");
  int code = fill(filter);
  if (code == 0) code = seccomp_load(filter.get());
  if (code == 0) return {};
  return base::fatal(fmt::format("seccomp: the kernel takes no filter: {}", std::strerror(-code)), -code);
}

}  // namespace millrace::confinement
