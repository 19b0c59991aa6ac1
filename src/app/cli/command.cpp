#include "app/cli/command.h"

#include <cstdlib>
#include <filesystem>
#include <ranges>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "adapters/system/logging.h"
#include "adapters/system/signals.h"
#include "app/cli/exit_codes.h"
#include "base/environment.h"

namespace millrace::app {
namespace {

constexpr std::string_view kDefaultConfigFile = "millrace.toml";

}  // namespace

base::Result<Settings> SettingSources::load() const {
  const bool has_default = config_file.empty() && std::filesystem::exists(kDefaultConfigFile);
  auto loaded = load_settings(
      has_default ? std::string(kDefaultConfigFile) : config_file,
      [](const std::string& name) { return std::getenv(name.c_str()); }, flags);
  for (const SettingInfo& info : all_settings())
    if (info.secret) base::take_from_environment(info.variable());
  if (!loaded) return std::unexpected(std::move(loaded).error());
  for (const std::string& warning : loaded->warnings) fmt::print(stderr, "warning: {}\n", warning);
  return std::move(*loaded);
}

CLI::App& Commands::add(CLI::App& parent, const std::string& name, const std::string& help, Run run) {
  CLI::App& command = add_group(parent, name, help);
  all_.emplace_back(&command, std::move(run));
  return command;
}

CLI::App& Commands::add_group(CLI::App& parent, const std::string& name, const std::string& help) {
  CLI::App* const group = parent.add_subcommand(name, help);
  group->fallthrough();
  return *group;
}

int Commands::run(const SettingSources& sources) const {
  for (const auto& [command, run] : std::views::reverse(all_))
    if (command->parsed()) return run(sources);
  return kExitUsage;
}

int finish(const base::Result<void>& outcome) {
  if (outcome) return kExitOk;
  fmt::print(stderr, "millrace: {}\n", outcome.error().message);
  return exit_code(outcome.error().kind);
}

int finish_check(const base::Result<bool>& outcome) {
  if (!outcome) return finish(std::unexpected(outcome.error()));
  return *outcome ? kExitOk : kExitDifferences;
}

int run_with_log(const Settings& settings, const Work& work) {
  base::StopSignal stop;
  const adapters::system::SignalWatch signals(stop);
  if (const auto set_up = adapters::system::set_up_logging({settings.log_level, settings.log_file}); !set_up)
    return finish(set_up);
  return work(settings, stop);
}

int run_tool(const SettingSources& sources, StoresUsed used, const Work& work) {
  auto settings = sources.load();
  if (!settings) return finish(std::unexpected(settings.error()));
  if (const auto filled = use_credentials(*settings, used); !filled) return finish(filled);
  return run_with_log(*settings, work);
}

}  // namespace millrace::app
