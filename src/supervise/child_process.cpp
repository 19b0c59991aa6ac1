#include "supervise/child_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confinement/landlock.h"

extern char** environ;

namespace millrace::supervise {
namespace {

constexpr std::chrono::milliseconds kLookInterval{5};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

/// What a server needs of our environment: where programs and temporary files are, and how people write. All
/// else, secrets among it, is no business of a child.
bool is_handed_down(std::string_view name) {
  constexpr std::string_view kNames[] = {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "JAVA_HOME"};
  return name.starts_with("LC_") || std::ranges::find(kNames, name) != std::end(kNames);
}

std::vector<std::string> environment_of(const ChildSpec& spec) {
  std::vector<std::string> list;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    if (is_handed_down(name) &&
        std::ranges::none_of(spec.environment, [&](const auto& pair) { return pair.first == name; }))
      list.emplace_back(text);
  }
  for (const auto& [name, value] : spec.environment) list.push_back(name + "=" + value);
  return list;
}

// Between fork and exec of a program with threads only system calls are allowed: all memory is prepared
// before.
struct Launch {
  const char* program;
  char* const* arguments;
  char* const* environment;
  int log;
  int failure;  // end of a pipe that closes on exec: carries errno when exec fails
  pid_t parent;
  const int* kept;
  std::size_t kept_count;
  int ruleset;
};

[[noreturn]] void run_child(const Launch& launch) {
  const auto give_up = [&] {
    const int code = errno;
    [[maybe_unused]] const ssize_t written = ::write(launch.failure, &code, sizeof(code));
    ::_exit(127);
  };
  ::setsid();  // no signals of our terminal, and no way to it
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up();
  if (::getppid() != launch.parent) ::_exit(127);  // the parent died before the line above
  // No program that it starts gets more rights than it has, by a set-user-ID bit or a file's capabilities.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up();
  ::umask(077);

  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::signal(signal, SIG_DFL);

  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing < 0 || ::dup2(nothing, 0) < 0 || ::dup2(launch.log, 1) < 0 || ::dup2(launch.log, 2) < 0)
    give_up();
  if (launch.ruleset >= 0) {
    errno = confinement::enforce(launch.ruleset);
    if (errno != 0) give_up();
  }
  ::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
  for (std::size_t i = 0; i < launch.kept_count; ++i) ::fcntl(launch.kept[i], F_SETFD, 0);
  ::execve(launch.program, launch.arguments, launch.environment);
  give_up();
  ::_exit(127);
}

}  // namespace

std::string describe_exit(int wait_status) {
  if (WIFSIGNALED(wait_status)) return fmt::format("signal {}", WTERMSIG(wait_status));
  return fmt::format("exit code {}", WEXITSTATUS(wait_status));
}

base::Result<ChildProcess> ChildProcess::start(const ChildSpec& spec) {
  const auto cannot = [&](std::string_view what) {
    return base::fatal(fmt::format("cannot start {}: {}: {}", spec.name, what, std::strerror(errno)), errno);
  };
  std::vector<std::string> argument_texts = {spec.program.string()};
  argument_texts.insert(argument_texts.end(), spec.arguments.begin(), spec.arguments.end());
  std::vector<std::string> environment_texts = environment_of(spec);
  const std::vector<char*> arguments = pointers(argument_texts);
  const std::vector<char*> environment = pointers(environment_texts);

  const int log = ::open(spec.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return cannot(spec.log_file.string());
  int failure[2] = {-1, -1};
  if (::pipe2(failure, O_CLOEXEC) != 0) {
    auto error = cannot("pipe");
    ::close(log);
    return error;
  }
  const Launch launch{.program = argument_texts[0].c_str(),
                      .arguments = arguments.data(),
                      .environment = environment.data(),
                      .log = log,
                      .failure = failure[1],
                      .parent = ::getpid(),
                      .kept = spec.kept_files.data(),
                      .kept_count = spec.kept_files.size(),
                      .ruleset = spec.ruleset_file};
  const pid_t pid = ::fork();
  if (pid == 0) run_child(launch);
  const int fork_error = errno;
  ::close(log);
  ::close(failure[1]);
  int code = 0;
  ssize_t got = 0;
  if (pid > 0) {
    do {
      got = ::read(failure[0], &code, sizeof(code));
    } while (got < 0 && errno == EINTR);
  }
  ::close(failure[0]);
  if (pid < 0) {
    errno = fork_error;
    return cannot("fork");
  }
  if (got == sizeof(code)) {
    ::waitpid(pid, nullptr, 0);
    errno = code;
    return cannot(spec.program.string());
  }
  return ChildProcess(pid);
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !ended()) stop(base::Deadline::in(std::chrono::milliseconds(0)));
}

std::optional<int> ChildProcess::ended() {
  if (wait_status_) return wait_status_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) wait_status_ = status;
  return wait_status_;
}

std::optional<int> ChildProcess::wait(base::Deadline deadline) {
  while (!ended() && !deadline.passed()) std::this_thread::sleep_for(kLookInterval);
  return wait_status_;
}

int ChildProcess::stop(base::Deadline deadline, const std::function<bool()>& enough) {
  if (const auto status = ended()) return *status;
  if (!deadline.passed()) {
    ::kill(pid_, SIGTERM);
    while (!ended() && !deadline.passed() && !(enough && enough()))
      std::this_thread::sleep_for(kLookInterval);
    if (wait_status_) return *wait_status_;
  }
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  wait_status_ = status;
  return status;
}

}  // namespace millrace::supervise
