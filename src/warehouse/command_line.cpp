#include "warehouse/command_line.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "web/access.h"

namespace millrace::warehouse {
namespace {

/// Values that the options hold in another form.
struct Words {
  explicit Words(const Options& options)
      : statement_wait_ms(options.handler.places.wait.count()),
        idle_timeout_ms(options.server.limits.idle_timeout.count()),
        receive_timeout_ms(options.server.limits.receive_timeout.count()),
        send_timeout_ms(options.server.limits.send_timeout.count()),
        auth_hold_max_ms(options.handler.throttle.hold_max.count()) {}

  std::int64_t statement_wait_ms;
  std::int64_t idle_timeout_ms;
  std::int64_t receive_timeout_ms;
  std::int64_t send_timeout_ms;
  std::int64_t auth_hold_max_ms;
  std::string allowed_hosts;
  std::string cors_origins;
};

void add_place_flags(CLI::App& app, Options& options) {
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
}

void add_size_flags(CLI::App& app, Options& options, Words& words) {
  app.add_option("--statements-max", options.handler.places.running_max, "Statements at once in the engine")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000));
  app.add_option("--open-max", options.handler.places.open_max,
                 "Statements that have begun, those included that wait for their clients")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  app.add_option("--statement-wait-ms", words.statement_wait_ms,
                 "How long further statements wait before they are refused")
      ->capture_default_str()
      ->check(CLI::Range(0, 600'000));
  app.add_option("--body-bytes-max", options.server.limits.body_bytes_max, "Size of one request's body")
      ->capture_default_str();
  app.add_option("--statement-bytes-max", options.handler.statement_bytes_max,
                 "Size of one statement without an INSERT's rows")
      ->capture_default_str();
  app.add_option("--memory-bytes-max", options.engine.memory_bytes_max,
                 "Memory of all statements together; 0: half of the machine's")
      ->capture_default_str();
}

void add_time_flags(CLI::App& app, Words& words) {
  app.add_option("--idle-timeout-ms", words.idle_timeout_ms, "Between two requests of a connection")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400'000));
  app.add_option("--receive-timeout-ms", words.receive_timeout_ms, "For the next bytes of a request")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400'000));
  app.add_option("--send-timeout-ms", words.send_timeout_ms,
                 "For the peer to take the next bytes of an answer")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400'000));
  app.add_option("--auth-hold-max-ms", words.auth_hold_max_ms,
                 "The longest that credentials are held after wrong ones from the same address")
      ->capture_default_str()
      ->check(CLI::Range(1, 600'000));
}

void add_process_flags(CLI::App& app, Options& options, Words& words) {
  app.add_option("--allowed-hosts", words.allowed_hosts,
                 "Names besides localhost under which the program may be reached, with commas between");
  app.add_option("--cors-origins", words.cors_origins,
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
  if constexpr (!kGuardEnabled)
    app.add_flag("--restricted-rights", options.engine.restricted_rights,
                 "The engine's own rights as in the program that is installed");
}

/// Errors: kInvalid (names of hosts or origins).
base::Result<void> take_words(const Words& words, Options& options) {
  options.handler.places.wait = std::chrono::milliseconds(words.statement_wait_ms);
  options.handler.throttle.hold_max = std::chrono::milliseconds(words.auth_hold_max_ms);
  options.handler.throttle.hold_min =
      std::min(options.handler.throttle.hold_min, options.handler.throttle.hold_max);
  auto access = web::access_rules(options.server.host, words.allowed_hosts, words.cors_origins);
  if (!access) return std::unexpected(access.error());
  options.handler.access = std::move(*access);
  // A tab that shows an answer is no use here, and a link must not run a statement.
  options.handler.access.allows_navigation = false;
  auto& limits = options.server.limits;
  limits.idle_timeout = std::chrono::milliseconds(words.idle_timeout_ms);
  limits.receive_timeout = std::chrono::milliseconds(words.receive_timeout_ms);
  limits.header_timeout = std::min(limits.header_timeout, limits.receive_timeout);
  limits.send_timeout = std::chrono::milliseconds(words.send_timeout_ms);
  return {};
}

}  // namespace

std::optional<int> parse_command_line(int argc, char** argv, Options& options) {
  CLI::App app("The embedded ClickHouse engine behind ClickHouse's HTTP interface", "millrace-warehouse");
  app.set_version_flag("--version", std::string(MILLRACE_VERSION));
  Words words(options);
  add_place_flags(app, options);
  add_size_flags(app, options, words);
  add_time_flags(app, words);
  add_process_flags(app, options, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return complain(kExitUsage, fmt::format("{}; see --help", error.what()));
  }
  if (const auto taken = take_words(words, options); !taken)
    return complain(kExitUsage, taken.error().message);
  return std::nullopt;
}

int complain(int code, const std::string& message) {
  fmt::print(stderr, "millrace-warehouse: {}\n", message);
  return code;
}

}  // namespace millrace::warehouse
