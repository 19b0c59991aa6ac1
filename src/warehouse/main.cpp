// millrace-warehouse: the embedded ClickHouse engine behind ClickHouse's HTTP interface.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
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
#include "warehouse/engine.h"
#include "warehouse/engine_files.h"
#include "warehouse/failed_writes.h"
#include "warehouse/handler.h"
#include "warehouse/server.h"

namespace {

using namespace millrace;

// Process exit codes: what a supervisor does next.
constexpr int kExitUsage = 1;  // The command line or a file that it names is wrong.
constexpr int kExitPortTaken = 2;
constexpr int kExitDirectory = 3;   // The data directory is in use or cannot be opened.
constexpr int kExitUnconfined = 5;  // The kernel does not confine the program.

struct Options {
  warehouse::EngineOptions engine;
  warehouse::HandlerOptions handler;
  warehouse::ServerOptions server;
  std::string password_file;
  int password_fd = -1;
  std::string log_level = "info";
  bool die_with_parent = false;
  bool unconfined = false;
  int stop_seconds = 10;
};

int complain(int code, const std::string& message) {
  fmt::print(stderr, "millrace-warehouse: {}\n", message);
  return code;
}

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

}  // namespace

int main(int argc, char** argv) {
  ::umask(077);  // its data and logs are for its own user alone
  Options options;
  auto& limits = options.server.limits;
  CLI::App app("The embedded ClickHouse engine behind ClickHouse's HTTP interface", "millrace-warehouse");
  app.set_version_flag("--version", std::string(MILLRACE_VERSION));
  app.add_option("--path", options.engine.path, "Data directory (made if missing; one process at a time)")
      ->required();
  app.add_option("--host", options.server.host, "IPv4 address to listen on")->capture_default_str();
  app.add_option("--port", options.server.port, "Port to listen on; 0 takes any free one")
      ->capture_default_str();
  app.add_option("--user", options.handler.user, "The one user's name")->capture_default_str();
  app.add_option("--password-file", options.password_file,
                 "File with the user's password; else MILLRACE_WAREHOUSE_PASSWORD");
  app.add_option("--password-fd", options.password_fd,
                 "Open descriptor that gives the password instead; it is read and closed")
      ->check(CLI::Range(3, 1'000'000));
  app.add_option("--connections-max", options.server.connections_max, "HTTP connections at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  app.add_option("--statements-max", options.handler.places.running_max, "Statements at once in the engine")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000));
  app.add_option("--open-max", options.handler.places.open_max,
                 "Statements that have begun, those included that wait for their clients")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  std::int64_t statement_wait_ms = options.handler.places.wait.count();
  app.add_option("--statement-wait-ms", statement_wait_ms,
                 "How long further statements wait before they are refused")
      ->capture_default_str()
      ->check(CLI::Range(0, 600'000));
  app.add_option("--body-bytes-max", limits.body_bytes_max, "Size of one request's body")
      ->capture_default_str();
  app.add_option("--statement-bytes-max", options.handler.statement_bytes_max,
                 "Size of one statement without an INSERT's rows")
      ->capture_default_str();
  app.add_option("--memory-bytes-max", options.engine.memory_bytes_max,
                 "Memory of all statements together; 0: half of the machine's")
      ->capture_default_str();
  std::int64_t idle_timeout_ms = limits.idle_timeout.count();
  std::int64_t receive_timeout_ms = limits.receive_timeout.count();
  std::int64_t send_timeout_ms = limits.send_timeout.count();
  app.add_option("--idle-timeout-ms", idle_timeout_ms, "Between two requests of a connection")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400'000));
  app.add_option("--receive-timeout-ms", receive_timeout_ms, "For the next bytes of a request")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400'000));
  app.add_option("--send-timeout-ms", send_timeout_ms, "For the peer to take the next bytes of an answer")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400'000));
  std::int64_t auth_hold_max_ms = options.handler.throttle.hold_max.count();
  app.add_option("--auth-hold-max-ms", auth_hold_max_ms,
                 "The longest that credentials are held after wrong ones from the same address")
      ->capture_default_str()
      ->check(CLI::Range(1, 600'000));
  std::string allowed_hosts;
  std::string cors_origins;
  app.add_option("--allowed-hosts", allowed_hosts,
                 "Names besides localhost under which the program may be reached, with commas between");
  app.add_option("--cors-origins", cors_origins,
                 "Origins of web pages that may send requests, with commas between");
  app.add_option("--stop-seconds", options.stop_seconds, "Time for running requests to end after SIGTERM")
      ->capture_default_str()
      ->check(CLI::Range(0, 3600));
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  app.add_flag("--die-with-parent", options.die_with_parent,
               "Stop when the process that started this one ends");
  app.add_flag(
      "--unconfined", options.unconfined,
      "Leave out the confinement: SQL that the guard lets through reaches files, hosts and programs");
  if constexpr (!warehouse::kGuardEnabled)
    app.add_flag("--restricted-rights", options.engine.restricted_rights,
                 "The engine's own rights as in the program that is installed");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return complain(kExitUsage, fmt::format("{}; see --help", error.what()));
  }
  options.handler.places.wait = std::chrono::milliseconds(statement_wait_ms);
  options.handler.throttle.hold_max = std::chrono::milliseconds(auth_hold_max_ms);
  options.handler.throttle.hold_min =
      std::min(options.handler.throttle.hold_min, options.handler.throttle.hold_max);
  auto access = web::access_rules(options.server.host, allowed_hosts, cors_origins);
  if (!access) return complain(kExitUsage, access.error().message);
  options.handler.access = std::move(*access);
  // A tab that shows an answer is no use here, and a link must not run a statement.
  options.handler.access.allows_navigation = false;
  limits.idle_timeout = std::chrono::milliseconds(idle_timeout_ms);
  limits.receive_timeout = std::chrono::milliseconds(receive_timeout_ms);
  limits.header_timeout = std::min(limits.header_timeout, limits.receive_timeout);
  limits.send_timeout = std::chrono::milliseconds(send_timeout_ms);

  spdlog::set_default_logger(spdlog::stderr_logger_mt("warehouse"));
  spdlog::set_level(spdlog::level::from_str(options.log_level));

  // Nothing that the engine reads or shows of its environment holds a secret then.
  confinement::hide_secrets_of_environment();
  auto password = find_password(options);
  if (!password) return complain(kExitUsage, password.error().message);
  options.handler.password = std::move(*password);
  std::error_code path_error;
  options.engine.path =
      std::filesystem::absolute(options.engine.path, path_error).lexically_normal().string();
  if (path_error) return complain(kExitUsage, fmt::format("--path: {}", path_error.message()));

  // The engine's idea of the time zone is the process's.
  ::setenv("TZ", "UTC", 1);
  ::tzset();

  // Threads inherit the mask, the engine's too: the signals arrive at the one that waits for them below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  warehouse::watch_failed_writes();
  if (options.die_with_parent) {
    const pid_t parent = ::getppid();
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent || parent == 1)
      return complain(kExitUsage, "the parent process is gone already");
  }

  auto* server = new warehouse::Server(options.server);
  const auto port = server->bind();
  if (!port)
    return complain(port.error().kind == base::ErrorKind::kConflict ? kExitPortTaken : kExitUsage,
                    port.error().message);
  const auto confined = confine(options);
  if (!confined) {
    const bool directory = confined.error().kind == base::ErrorKind::kInvalid;
    return complain(
        directory ? kExitDirectory : kExitUnconfined,
        directory ? confined.error().message : confined.error().message + "; --unconfined runs without");
  }
  auto engine = warehouse::Engine::open(options.engine);
  if (!engine) {
    complain(kExitDirectory, engine.error().message);
    std::_Exit(kExitDirectory);
  }
  auto* handler = new warehouse::Handler(**engine, options.handler);
  if (const auto listening = server->listen(*handler); !listening) {
    complain(kExitPortTaken, listening.error().message);
    std::fflush(nullptr);
    std::_Exit(kExitPortTaken);
  }
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
  std::fflush(nullptr);
  // The engine's own shutdown fails once tables exist; what was acknowledged is on disk already.
  std::_Exit(0);
}
