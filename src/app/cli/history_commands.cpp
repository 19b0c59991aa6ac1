#include <cstdio>
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/wiring/dependencies.h"
#include "ordering/order_service.h"
#include "tools/backfill.h"
#include "tools/import_online_retail.h"
#include "tools/progress.h"

namespace millrace::app {
namespace {

constexpr StoresUsed kOrderStore{.mysql = true, .clickhouse = false};

struct ImportOptions {
  std::string kind;
  std::string file;
};

base::Result<void> run_import(const Settings& settings, const std::string& kind, const std::string& file,
                              const base::StopSignal& stop) {
  if (kind != "online-retail")
    return base::invalid(fmt::format("'{}' cannot be imported; use online-retail", kind));
  MILLRACE_TRY_ASSIGN(const auto dependencies, make_dependencies(settings));
  ordering::OrderService orders(*dependencies->store, dependencies->clock, ordering_options(settings), [] {});
  tools::ImportProgressPrinter printer(stderr);
  const auto report = tools::import_online_retail(
      file, {}, orders, stop, [&](const tools::ImportProgress& now) { printer.show(now); });
  if (!report && report.error().message.find(file) != std::string::npos)
    return std::unexpected(report.error());
  if (!report) return base::with_context(file, report.error());
  std::cout << tools::to_text(*report);
  if (report->stopped) return base::unavailable("stopped before the end; run the import again to go on");
  return {};
}

/// Errors: kInvalid also when some orders cannot be backfilled as they are; the others have been.
base::Result<void> run_backfill(const Settings& settings, const base::StopSignal& stop) {
  MILLRACE_TRY_ASSIGN(const auto dependencies, make_dependencies(settings));
  ordering::OrderService orders(*dependencies->store, dependencies->clock, ordering_options(settings), [] {});
  const auto submit = [&orders](ordering::Command command, ordering::OnDone done) {
    orders.submit(std::move(command), std::move(done));
  };
  tools::ImportProgressPrinter printer(stderr);
  MILLRACE_TRY_ASSIGN(const auto report,
                      tools::backfill(*dependencies->store, submit, {}, stop,
                                      [&](const tools::ImportProgress& now) { printer.show(now); }));
  std::cout << tools::to_text(report);
  if (report.stopped) return base::unavailable("stopped before the end; run the backfill again to go on");
  if (report.refused > 0)
    return base::invalid(
        fmt::format("{} orders cannot be backfilled as they are; correct them and run the backfill again",
                    report.refused));
  return {};
}

}  // namespace

void add_history_commands(CLI::App& app, Commands& commands) {
  const auto options = std::make_shared<ImportOptions>();
  CLI::App& import = commands.add(
      app, "import", "Import history through the order service and the outbox",
      [options](const SettingSources& sources) {
        return run_tool(sources, kOrderStore, [&](const Settings& settings, base::StopSignal& stop) {
          return finish(run_import(settings, options->kind, options->file, stop));
        });
      });
  import.add_option("kind", options->kind, "online-retail")->required();
  import.add_option("file", options->file, "The CSV file, plain or .zst")->required();

  commands.add(app, "backfill", "Send the orders that were there before the pipeline",
               [](const SettingSources& sources) {
                 return run_tool(sources, kOrderStore, [](const Settings& settings, base::StopSignal& stop) {
                   return finish(run_backfill(settings, stop));
                 });
               });
}

}  // namespace millrace::app
