#include <cstdio>
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "adapters/mysql/mysql_sql_reader.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/wiring/dependencies.h"
#include "verify/report.h"
#include "verify/verify.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kCountTimeout{60'000};

struct VerifyCommand {
  std::string patience = "30s";
  bool json = false;
};

/// True if there are no differences.
base::Result<bool> run_verify(const Settings& settings, const VerifyCommand& command,
                              const base::StopSignal& stop) {
  const auto patience = parse_duration(command.patience);
  if (!patience) return base::with_context("--patience", patience.error());
  MILLRACE_TRY_ASSIGN(const auto dependencies, make_dependencies(settings));
  adapters::mysql::MysqlSqlReader reader(dependencies->store_address);
  verify::VerifyOptions options;
  options.patience = *patience;
  options.purge_after = std::chrono::duration_cast<std::chrono::seconds>(settings.purge_period);
  options.stop = &stop;
  const bool show = isatty(STDERR_FILENO) != 0;
  MILLRACE_TRY_ASSIGN(
      const auto report,
      verify::verify(reader, *dependencies->warehouse, options, [&](const verify::VerifyProgress& now) {
        if (show)
          fmt::print(stderr, "\r\x1b[K{}: {}, {} to check again", now.doing, now.rows, now.candidates);
      }));
  if (show) fmt::print(stderr, "\r\x1b[K");
  std::cout << (command.json ? verify::to_json(report) + "\n" : verify::to_table(report));
  if (!report.clean()) {
    const auto to_backfill = dependencies->store->count_orders_to_backfill(base::Deadline::in(kCountTimeout));
    if (to_backfill && *to_backfill > 0)
      fmt::print(stderr,
                 "{} orders were there before the pipeline and have not been sent: run millrace backfill\n",
                 *to_backfill);
  }
  return report.clean();
}

}  // namespace

void add_verify_command(CLI::App& app, Commands& commands) {
  const auto options = std::make_shared<VerifyCommand>();
  CLI::App& verify = commands.add(
      app, "verify", "Recompute everything from the order store and compare it with the warehouse",
      [options](const SettingSources& sources) {
        return run_tool(sources, {.mysql = true, .clickhouse = true},
                        [&](const Settings& settings, base::StopSignal& stop) {
                          return finish_check(run_verify(settings, *options, stop));
                        });
      });
  verify.add_option("--patience", options->patience, "How long to wait for a difference to disappear");
  verify.add_flag("--json", options->json, "The report as JSON");
}

}  // namespace millrace::app
