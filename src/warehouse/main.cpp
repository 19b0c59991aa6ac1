// millrace-warehouse: the embedded ClickHouse engine behind ClickHouse's HTTP interface.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/text.h"
#include "base/url.h"
#include "confinement/confinement.h"
#include "warehouse/command_line.h"
#include "warehouse/engine/engine.h"
#include "warehouse/engine/engine_files.h"
#include "warehouse/engine/failed_writes.h"
#include "warehouse/http/handler.h"
#include "warehouse/http/server.h"

namespace {

using namespace millrace;
using warehouse::complain;
using warehouse::Options;

/// Everything that the descriptor gives from its beginning; it is closed.
base::Result<std::string> read_password(int descriptor) {
  std::array<char, 4'096> text{};
  ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
  if (size < 0 && errno == ESPIPE) size = ::read(descriptor, text.data(), text.size());
  const int code = errno;
  ::close(descriptor);
  if (size < 0)
    return base::invalid(
        fmt::format("cannot read the password from descriptor {}: {}", descriptor, std::strerror(code)));
  std::string password(text.data(), static_cast<std::size_t>(size));
  ::explicit_bzero(text.data(), text.size());
  return password;
}

/// The password from the file or the environment, where nothing of it is left; an error message otherwise.
base::Result<std::string> find_password(const Options& options) {
  // Neither the engine, which could show it, nor /proc/PID/environ holds it then, whether it is used or not.
  auto in_environment = base::take_from_environment("MILLRACE_WAREHOUSE_PASSWORD");
  if (options.password_fd >= 0) return read_password(options.password_fd);
  if (!options.password_file.empty()) {
    std::ifstream file(options.password_file);
    std::string line;
    if (!file || !std::getline(file, line))
      return base::invalid(
          fmt::format("cannot read the password from {}; put it there on one line", options.password_file));
    return line;
  }
  if (in_environment) return std::move(*in_environment);
  return base::invalid("no password: name a file with --password-file or set MILLRACE_WAREHOUSE_PASSWORD");
}

/// Gives up what the engine does not need, before it is opened: the threads that it starts inherit it.
base::Result<std::optional<confinement::Confinement>> confine(const Options& options) {
  if (options.unconfined) return std::optional<confinement::Confinement>();
  // The rules need it to be there.
  MILLRACE_TRY(warehouse::make_data_directory(options.engine.path));
  MILLRACE_TRY_ASSIGN(const confinement::Confinement confined,
                      confinement::confine_this_process(warehouse::engine_files(options.engine.path)));
  return std::optional(confined);
}

void log_confinement(const std::optional<confinement::Confinement>& confined) {
  if (!confined) {
    spdlog::warn(
        "--unconfined: the operating system does not hold this program back; the guard is all that stands "
        "between SQL and this machine's files, hosts and programs");
    return;
  }
  if (confined->landlock_version == 0)
    spdlog::warn(
        "the kernel has no Landlock that can be used (Linux 5.19 or newer has, unless it is switched off): "
        "files outside of the data directory are not held back");
  spdlog::info("confined by {}", confinement::describe(*confined));
}

/// Before there is another thread: what the engine is to find as it is, and the signals that end the program.
/// Shape: nothing if all is well, else the exit code.
std::optional<int> prepare_process(Options& options, const sigset_t& signals) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("warehouse"));
  spdlog::set_level(spdlog::level::from_str(options.log_level));

  // Nothing that the engine reads or shows of its environment holds a secret then.
  confinement::hide_secrets_of_environment();
  auto password = find_password(options);
  if (!password) return complain(warehouse::kExitUsage, password.error().message);
  options.handler.password = std::move(*password);
  std::error_code path_error;
  options.engine.path =
      std::filesystem::absolute(options.engine.path, path_error).lexically_normal().string();
  if (path_error) return complain(warehouse::kExitUsage, fmt::format("--path: {}", path_error.message()));

  // The engine's idea of the time zone is the process's.
  ::setenv("TZ", "UTC", 1);
  ::tzset();

  // Threads inherit the mask, the engine's too: the signals arrive at the one that waits for them.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  warehouse::watch_failed_writes();
  if (options.die_with_parent) {
    const pid_t parent = ::getppid();
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent || parent == 1)
      return complain(warehouse::kExitUsage, "the parent process is gone already");
  }
  return std::nullopt;
}

/// Ends the process without the engine's own shutdown, which fails once tables exist; what was acknowledged
/// is on disk already.
[[noreturn]] void end_process(int code) {
  std::fflush(nullptr);
  std::_Exit(code);
}

/// Opens the engine, serves it until a signal comes, and ends the process. Shape: the exit code when the
/// engine was not reached.
int serve(const Options& options, const sigset_t& signals) {
  // Neither is destroyed while requests run, which may outlive the stop.
  auto* server = new warehouse::Server(options.server);
  const auto port = server->bind();
  if (!port)
    return complain(
        port.error().kind == base::ErrorKind::kConflict ? warehouse::kExitPortTaken : warehouse::kExitUsage,
        port.error().message);
  const auto confined = confine(options);
  if (!confined) {
    const bool directory = confined.error().kind == base::ErrorKind::kInvalid;
    return complain(
        directory ? warehouse::kExitDirectory : warehouse::kExitUnconfined,
        directory ? confined.error().message : confined.error().message + "; --unconfined runs without");
  }
  auto engine = warehouse::Engine::open(options.engine);
  if (!engine) end_process(complain(warehouse::kExitDirectory, engine.error().message));
  auto* handler = new warehouse::Handler(**engine, options.handler);
  if (const auto listening = server->listen(*handler); !listening)
    end_process(complain(warehouse::kExitPortTaken, listening.error().message));
  log_confinement(*confined);
  spdlog::info("engine {} with {}", (*engine)->version(), options.engine.path);
  fmt::print("ready on {}\n", base::http_url(options.server.host, *port));
  std::fflush(stdout);

  int received = 0;
  sigwait(&signals, &received);
  spdlog::info("stopping: no new requests, up to {} s for those under way", options.stop_seconds);
  const bool drained = server->stop(base::Deadline::in(std::chrono::seconds(options.stop_seconds)));
  if (drained) {
    delete server;
    delete handler;
    (*engine)->close();
  } else {
    spdlog::warn("requests were still running after {} s; they are cut off", options.stop_seconds);
  }
  spdlog::info("stopped");
  spdlog::default_logger()->flush();
  end_process(0);
}

}  // namespace

int main(int argc, char** argv) {
  ::umask(077);  // its data and logs are for its own user alone
  Options options;
  if (const auto code = warehouse::parse_command_line(argc, argv, options)) return *code;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (const auto code = prepare_process(options, signals)) return *code;
  return serve(options, signals);
}
