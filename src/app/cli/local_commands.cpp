#include <memory>

#include <CLI/CLI.hpp>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/local/local_stack.h"

namespace millrace::app {

void add_local_commands(CLI::App& app, Commands& commands) {
  commands.add(app, "down", "Stop the stack that runs in the data directory",
               [](const SettingSources& sources) {
                 return run_tool(sources, kNoStores, [](const Settings& settings, base::StopSignal&) {
                   return finish(run_down(settings));
                 });
               });

  const auto ps_options = std::make_shared<PsCommand>();
  CLI::App& ps =
      commands.add(app, "ps", "Show the services of the stack that runs in the data directory",
                   [ps_options](const SettingSources& sources) {
                     return run_tool(sources, kNoStores, [&](const Settings& settings, base::StopSignal&) {
                       return finish_check(run_ps(settings, *ps_options));
                     });
                   });
  ps.add_flag("--json", ps_options->json, "As JSON");

  const auto logs_options = std::make_shared<LogsCommand>();
  CLI::App& logs = commands.add(app, "logs", "Show the logs of the stack in the data directory",
                                [logs_options](const SettingSources& sources) {
                                  return run_tool(sources, kNoStores,
                                                  [&](const Settings& settings, base::StopSignal& stop) {
                                                    return finish(run_logs(settings, *logs_options, stop));
                                                  });
                                });
  logs.add_option("service", logs_options->service, "millrace, mysql, clickhouse, kafka-1 …: this one alone");
  logs.add_flag("--follow,-f", logs_options->follow, "Go on as they grow, until Ctrl-C");
  logs.add_option("--lines,-n", logs_options->lines, "The last so many of each")
      ->check(CLI::Range(0, 1'000'000));
}

}  // namespace millrace::app
