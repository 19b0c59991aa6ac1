#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/exit_codes.h"

namespace millrace::app {
namespace {

int run_config(const SettingSources& sources, bool example) {
  if (example) {
    std::cout << example_file();
    return kExitOk;
  }
  const auto settings = sources.load();
  if (!settings) return finish(std::unexpected(settings.error()));
  for (const SettingInfo& info : all_settings())
    fmt::print("{} = {}\n", info.key, shown_value(*settings, info));
  return kExitOk;
}

}  // namespace

void add_config_command(CLI::App& app, Commands& commands) {
  const auto example = std::make_shared<bool>(false);
  CLI::App& config =
      commands.add(app, "config", "Show the settings in force",
                   [example](const SettingSources& sources) { return run_config(sources, *example); });
  config.add_flag("--example", *example, "A file with all settings, defaults and explanations instead");
}

}  // namespace millrace::app
