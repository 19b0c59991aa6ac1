#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "adapters/mysql/migrations.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/wiring/dependencies.h"
#include "app/wiring/warehouse_schema.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kInitTimeout{120'000};

struct InitDbOptions {
  std::string url;  // without a password, which is mysql.password; empty: from the settings
  bool sample = true;
};

base::Result<void> run_init_db(const Settings& settings, const InitDbOptions& options) {
  MILLRACE_TRY_ASSIGN(auto address, adapters::mysql::parse_server_url(
                                        options.url.empty() ? mysql_url(settings) : options.url));
  if (!options.url.empty()) {
    if (!address.password.empty())
      return base::invalid(
          "--url with a password is refused, because everybody on this machine can read command lines: leave "
          "it out and set MILLRACE_MYSQL_PASSWORD or --mysql-password-file FILE, or give the whole URL by "
          "MILLRACE_MYSQL_URL or --mysql-url-file FILE");
    address.password = settings.mysql_password;
  }
  MILLRACE_TRY_ASSIGN(const auto report, adapters::mysql::init_db(address, {.sample_shop = options.sample},
                                                                  base::Deadline::in(kInitTimeout)));
  if (report.applied.empty()) {
    fmt::print("{} is up to date\n", address.shown());
  } else {
    for (const std::string_view name : report.applied)
      fmt::print("applied {} to {}\n", name, address.shown());
  }
  return {};
}

base::Result<void> run_init_warehouse(const Settings& settings) {
  MILLRACE_TRY_ASSIGN(const auto dependencies, make_dependencies(settings));
  MILLRACE_TRY(init_warehouse(*dependencies->warehouse, base::Deadline::in(kInitTimeout)));
  fmt::print("the warehouse at {} is up to date\n", clickhouse_url(settings));
  return {};
}

}  // namespace

void add_schema_commands(CLI::App& app, Commands& commands) {
  const auto options = std::make_shared<InitDbOptions>();
  CLI::App& init_db =
      commands.add(app, "init-db", "Create or bring up to date the order store's tables",
                   [options](const SettingSources& sources) {
                     const StoresUsed used{.mysql = options->url.empty(), .clickhouse = false};
                     return run_tool(sources, used, [&](const Settings& settings, base::StopSignal&) {
                       return finish(run_init_db(settings, *options));
                     });
                   });
  init_db.add_option(
      "--url", options->url,
      "mysql://user@host:port/database, with the password of mysql.password (default: from the settings)");
  init_db.add_flag("!--no-sample", options->sample, "Without the sample users and products");

  commands.add(app, "init-warehouse", "Create or bring up to date the warehouse's tables and views",
               [](const SettingSources& sources) {
                 return run_tool(sources, {.mysql = false, .clickhouse = true},
                                 [](const Settings& settings, base::StopSignal&) {
                                   return finish(run_init_warehouse(settings));
                                 });
               });
}

}  // namespace millrace::app
