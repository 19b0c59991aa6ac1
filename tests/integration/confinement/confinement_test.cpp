// What a process cannot do any more once it is confined. Each case runs in a child: the rules hold for good.
#include "confinement/confinement.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confinement/system_calls.h"
#include "support/temporary_directory.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

/// The exit code of a child that runs `work`; -1 if a signal ended it.
int in_child(const std::function<int()>& work) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(work());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int open_error(const fs::path& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (file < 0) return errno;
  ::close(file);
  return 0;
}

int connect_error(std::uint16_t port) {
  const int file = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (file < 0) return errno;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(file, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

class Landlock : public testing::Test {
 protected:
  void SetUp() override {
    if (confinement::landlock_version() == 0) GTEST_SKIP() << "this kernel has no Landlock that can be used";
    for (const char* folder : {"own/a", "own/b", "read", "other"}) fs::create_directories(root() / folder);
    for (const char* file : {"own/a/file", "read/file", "other/file"}) std::ofstream(root() / file) << "x";
    fs::create_symlink(root() / "other", root() / "own" / "way_out");
    rules_.writable = {root() / "own"};
    rules_.readable = {root() / "read", root() / "not_there"};
  }
  [[nodiscard]] fs::path root() const { return directory_.path(); }
  /// As between fork and exec: prepared by the parent, enforced by the child.
  int held(const std::function<int()>& work) {
    auto ruleset = confinement::Ruleset::prepare(rules_);
    EXPECT_TRUE(ruleset && *ruleset);
    return in_child([&] { return confinement::enforce((*ruleset)->file()) != 0 ? 99 : work(); });
  }
  support::TemporaryDirectory directory_;
  confinement::FileAndPortRules rules_;
};

TEST_F(Landlock, LetsWhatIsListedBeReadAndWritten) {
  EXPECT_EQ(held([&] { return open_error(root() / "read/file", O_RDONLY); }), 0);
  EXPECT_EQ(held([&] { return open_error(root() / "own/a/file", O_RDWR | O_TRUNC); }), 0);
  EXPECT_EQ(held([&] { return open_error(root() / "own/b/new", O_WRONLY | O_CREAT); }), 0);
}

TEST_F(Landlock, LetsFilesMoveAndBeLinkedBetweenFolders) {
  EXPECT_EQ(held([&] {
              return ::link((root() / "own/a/file").c_str(), (root() / "own/b/link").c_str()) == 0 ? 0
                                                                                                   : errno;
            }),
            0);
  EXPECT_EQ(held([&] {
              return ::rename((root() / "own/a/file").c_str(), (root() / "own/b/moved").c_str()) == 0 ? 0
                                                                                                      : errno;
            }),
            0);
}

TEST_F(Landlock, DeniesEverythingElse) {
  EXPECT_EQ(held([&] { return open_error(root() / "other/file", O_RDONLY); }), EACCES);
  EXPECT_EQ(held([&] { return open_error(root() / "own/way_out/file", O_RDONLY); }), EACCES);
  EXPECT_EQ(held([&] { return open_error(root() / "read/file", O_WRONLY); }), EACCES);
  EXPECT_EQ(held([&] { return open_error(root() / "read/new", O_WRONLY | O_CREAT); }), EACCES);
  EXPECT_EQ(held([&] { return ::unlink((root() / "other/file").c_str()) == 0 ? 0 : errno; }), EACCES);
  EXPECT_EQ(held([&] {
              return ::rename((root() / "own/a/file").c_str(), (root() / "other/x").c_str()) == 0 ? 0 : errno;
            }),
            EACCES);
  EXPECT_EQ(held([&] {
              char name[] = "/bin/true";
              char* const arguments[] = {name, nullptr};
              ::execv(name, arguments);
              return errno;
            }),
            EACCES);
}

TEST_F(Landlock, RunsAProgramThatIsListedWithItsLibraries) {
  rules_.executable = {"/bin/true", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"};
  rules_.readable = {"/usr", "/lib", "/lib64", "/etc/ld.so.cache"};
  EXPECT_EQ(held([&] {
              char name[] = "/bin/true";
              char* const arguments[] = {name, nullptr};
              ::execv(name, arguments);
              return errno;
            }),
            0);
}

TEST_F(Landlock, LetsNoPortButTheListedBeUsed) {
  if (confinement::landlock_version() < 4) GTEST_SKIP() << "this kernel's Landlock does not know TCP";
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const std::uint16_t port = ntohs(address.sin_port);
  EXPECT_EQ(in_child([&] { return connect_error(port); }), 0);
  EXPECT_EQ(held([&] { return connect_error(port); }), EACCES);
  rules_.bound_ports = {port};
  EXPECT_EQ(held([&] { return connect_error(port); }), EACCES);
  ::close(listener);
  const auto bound = [&] {
    const int file = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return ::bind(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  };
  EXPECT_EQ(held(bound), 0);
  rules_.bound_ports.clear();
  EXPECT_EQ(held(bound), EACCES);
}

/// The error of a system call in a child that is held to the calls of `restrict_system_calls`.
int restricted(const std::function<long()>& call) {
  return in_child([&] {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!confinement::restrict_system_calls()) return 99;
    errno = 0;
    return call() < 0 ? errno : 0;
  });
}

TEST(SystemCalls, LeavesThreadsFilesAndTime) {
  EXPECT_EQ(restricted([] {
              int value = 0;
              std::thread([&] { value = 1; }).join();
              return value == 1 ? 0 : -1;
            }),
            0);
  EXPECT_EQ(restricted([] { return ::open("/proc/self/status", O_RDONLY) < 0 ? -1 : 0; }), 0);
  EXPECT_EQ(restricted([] { return ::raise(SIGCHLD); }), 0);
}

TEST(SystemCalls, DeniesProcessesSocketsAndTheRest) {
  EXPECT_EQ(restricted([] { return ::fork(); }), EPERM);
  EXPECT_EQ(restricted([] { return ::syscall(SYS_fork); }), EPERM);
  EXPECT_EQ(restricted([] { return ::syscall(SYS_vfork); }), EPERM);
  EXPECT_EQ(restricted([] { return ::execl("/bin/true", "true", nullptr); }), EPERM);
  for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET, AF_VSOCK})
    EXPECT_EQ(restricted([&] { return ::socket(family, SOCK_STREAM, 0); }), EPERM) << family;
  EXPECT_EQ(restricted([] { return ::kill(::getppid(), 0); }), ENOSYS);
  EXPECT_EQ(restricted([] { return ::syscall(SYS_ptrace, 0, 0, 0, 0); }), EPERM);
  EXPECT_EQ(restricted([] { return ::syscall(SYS_unshare, 0x10000000); }), EPERM);
  EXPECT_EQ(restricted([] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }), EPERM);
  EXPECT_EQ(restricted([] { return ::syscall(SYS_bpf, 0, nullptr, 0); }), EPERM);
  EXPECT_EQ(restricted([] { return ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); }), EPERM);
  EXPECT_EQ(restricted([] { return ::syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
  EXPECT_EQ(restricted([] { return ::syscall(9'999); }), ENOSYS);
  rlimit limit{.rlim_cur = 10, .rlim_max = 10};
  EXPECT_EQ(restricted([&] { return ::setrlimit(RLIMIT_NOFILE, &limit); }), ENOSYS);
}

// A socket that was made before: its peer is answered, an address is not called.
TEST(SystemCalls, SendsToThePeerOnly) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
  EXPECT_EQ(restricted([&] { return ::send(pair[0], "x", 1, 0) == 1 ? 0 : -1; }), 0);
  const int datagrams = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  EXPECT_EQ(restricted([&] { return ::sendto(datagrams, "x", 1, 0, to, sizeof address); }), ENOSYS);
  EXPECT_EQ(restricted([&] { return ::connect(datagrams, to, sizeof address); }), EPERM);
  for (const int file : {pair[0], pair[1], datagrams}) ::close(file);
}

TEST(Confinement, RefusesWhenThreadsRunThatItWouldNotHold) {
  EXPECT_EQ(in_child([] {
              std::thread([] {
                for (;;) ::pause();
              }).detach();
              const auto confined = confinement::confine_this_process({});
              return confined || confined.error().message.find("threads") == std::string::npos ? 1 : 0;
            }),
            0);
}

TEST(Confinement, LeavesNoCoreAndNoNewPrivileges) {
  EXPECT_EQ(in_child([] {
              if (!confinement::confine_this_process({})) return 1;
              rlimit core{};
              ::getrlimit(RLIMIT_CORE, &core);
              return core.rlim_max == 1 && ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 2;
            }),
            0);
}

// In a program of its own: /proc shows what a process was started with.
TEST(Confinement, HidesSecretsOfTheEnvironmentFromProcAndKeepsThemForGetenv) {
  if (const char* inner = std::getenv("MILLRACE_TEST_INNER"); inner != nullptr) {
    confinement::hide_secrets_of_environment();
    ASSERT_STREQ(std::getenv("SOME_PASSWORD"), "hidden-47");
    std::ifstream file("/proc/self/environ");
    const std::string shown{std::istreambuf_iterator<char>(file), {}};
    ASSERT_EQ(shown.find("hidden-47"), std::string::npos);
    ASSERT_NE(shown.find("shown-48"), std::string::npos);
    return;
  }
  EXPECT_EQ(in_child([] {
              ::setenv("MILLRACE_TEST_INNER", "1", 1);
              ::setenv("SOME_PASSWORD", "hidden-47", 1);
              ::setenv("SOME_COLOUR", "shown-48", 1);
              const std::string program = fs::read_symlink("/proc/self/exe").string();
              ::execl(program.c_str(), program.c_str(), "--gtest_filter=*HidesSecrets*", nullptr);
              return 9;
            }),
            0);
}

}  // namespace
}  // namespace millrace
