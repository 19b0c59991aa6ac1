#include <CLI/CLI.hpp>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/config/run_as.h"
#include "app/roles/roles.h"

namespace millrace::app {
namespace {

/// Does `work` as another user than root. The passwords must have been read: the data directory may be out of
/// that user's reach.
int run_server(Settings settings, const Work& work) {
  if (const auto became = become_unprivileged(settings, false); !became) return finish(became);
  return run_with_log(settings, work);
}

int run_api_alone(const SettingSources& sources) {
  auto settings = sources.load();
  if (!settings) return finish(std::unexpected(settings.error()));
  if (const auto filled = use_credentials(*settings); !filled) return finish(filled);
  return run_server(std::move(*settings), [](const Settings& ready, base::StopSignal& stop) {
    return finish(run_api(ready, stop));
  });
}

int run_stage_alone(const SettingSources& sources, const std::string& stage) {
  auto settings = sources.load();
  if (!settings) return finish(std::unexpected(settings.error()));
  // With the embedded log the stage is refused, whatever passwords there are.
  const bool can_run = settings->event_log_kind != "embedded";
  const StoresUsed used{.mysql = can_run && stage == "relay", .clickhouse = can_run && stage == "sink"};
  if (const auto filled = use_credentials(*settings, used); !filled) return finish(filled);
  // Any stage may execute jobs and verify, but none has to.
  settings->has_store_credentials = use_credentials(*settings).has_value();
  return run_server(std::move(*settings), [&](const Settings& ready, base::StopSignal& stop) {
    return finish(run_stage(ready, stage, stop));
  });
}

}  // namespace

void add_role_commands(CLI::App& app, Commands& commands) {
  commands.add(app, "api", "Run the HTTP API alone", &run_api_alone);
  for (const std::string stage : {"relay", "transform", "sink"})
    commands.add(app, stage, "Run the stage alone: " + stage,
                 [stage](const SettingSources& sources) { return run_stage_alone(sources, stage); });
}

}  // namespace millrace::app
