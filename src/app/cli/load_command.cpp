#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/wiring/dependencies.h"
#include "base/url.h"
#include "tools/load.h"

namespace millrace::app {
namespace {

struct LoadCommand {
  tools::LoadOptions load;
  std::string duration = "30s";
  bool watch = false;
};

base::Result<void> run_load(const Settings& settings, const LoadCommand& command,
                            const base::StopSignal& stop) {
  const auto duration = parse_duration(command.duration);
  if (!duration) return base::with_context("--duration", duration.error());
  std::unique_ptr<Dependencies> dependencies;
  if (command.watch) {
    MILLRACE_TRY_ASSIGN(dependencies, make_dependencies(settings));
  }
  tools::LoadOptions options = command.load;
  options.duration = *duration;
  options.api_url = base::http_url(base::connect_host(settings.api_host), settings.api_port);
  adapters::curl::CurlHttpClient client({.connections_max = options.workers + 1, .ca_file = {}});
  MILLRACE_TRY_ASSIGN(
      const auto report,
      tools::run_load(client, dependencies ? dependencies->warehouse.get() : nullptr, options, stop));
  std::cout << tools::to_json(report) << "\n";
  return {};
}

}  // namespace

void add_load_command(CLI::App& app, Commands& commands) {
  const auto options = std::make_shared<LoadCommand>();
  tools::LoadOptions& orders = options->load;
  CLI::App& load = commands.add(app, "load", "Send orders to the API at a fixed rate and measure",
                                [options](const SettingSources& sources) {
                                  return run_tool(sources, {.mysql = false, .clickhouse = options->watch},
                                                  [&](const Settings& settings, base::StopSignal& stop) {
                                                    return finish(run_load(settings, *options, stop));
                                                  });
                                });
  load.add_option("--rate", orders.orders_per_second, "Orders per second")
      ->check(CLI::Range(0.01, 100'000.0));
  load.add_option("--duration", options->duration, "How long, for example 30s");
  load.add_option("--workers", orders.workers, "Requests at once")->check(CLI::Range(1, 1'024));
  load.add_option("--delete-share", orders.delete_share,
                  "Of the orders, how many are deleted again (0 to 1)");
  load.add_option("--seed", orders.seed, "Of the random orders");
  load.add_flag("--watch", options->watch, "Measure until the views show the orders");
}

}  // namespace millrace::app
