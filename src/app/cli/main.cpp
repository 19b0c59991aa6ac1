// millrace: one binary, whose subcommands are the roles and the tools (app/cli/commands.h).
#include <cstdio>
#include <exception>
#include <span>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include "adapters/system/signals.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/exit_codes.h"

namespace millrace::app {
namespace {

/// The settings' flags stand on the main command and are understood behind any subcommand.
void add_setting_flags(CLI::App& app, std::map<std::string, std::string>& flags) {
  for (const SettingInfo& info : all_settings()) {
    if (info.secret) continue;
    const std::string key(info.key);
    const std::string section = key.substr(0, key.find('.'));
    app.add_option_function<std::string>(
           info.flag(), [&flags, key](const std::string& value) { flags[key] = value; },
           std::string(info.help))
        ->group("Settings: " + section)
        ->type_name("VALUE");
  }
}

/// Before anything else reads the words, so that no complaint repeats the secret.
base::Result<void> refuse_secret_flags(std::span<char* const> words) {
  for (const std::string_view word : words) {
    if (word == "--") break;
    for (const SettingInfo& info : all_settings())
      if (info.secret && word.substr(0, word.find('=')) == info.flag())
        return base::invalid(flag_refusal(info));
  }
  return {};
}

int run(int argc, char** argv) {
  if (const auto allowed = refuse_secret_flags({argv, static_cast<std::size_t>(argc)}); !allowed)
    return finish(allowed);
  CLI::App app("Millrace: order changes from MySQL to live analytics, each counted exactly once.",
               "millrace");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", std::string("millrace ") + kVersion);
  SettingSources sources;
  app.add_option("--config", sources.config_file,
                 "TOML file with settings (default: millrace.toml here, if there is one)")
      ->envname("MILLRACE_CONFIG")
      ->type_name("FILE");
  add_setting_flags(app, sources.flags);

  Commands commands;
  add_up_command(app, commands);
  add_local_commands(app, commands);
  add_role_commands(app, commands);
  add_schema_commands(app, commands);
  add_history_commands(app, commands);
  add_verify_command(app, commands);
  add_load_command(app, commands);
  add_dlq_commands(app, commands);
  add_job_commands(app, commands);
  add_log_commands(app, commands);
  add_config_command(app, commands);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kExitOk : kExitUsage;
  }
  return commands.run(sources);
}

}  // namespace
}  // namespace millrace::app

int main(int argc, char** argv) {
  ::umask(077);  // what it writes is for its own user alone
  millrace::adapters::system::block_stop_signals();
  try {
    return millrace::app::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "millrace: {}\n", error.what());
    return millrace::app::exit_code(millrace::base::ErrorKind::kFatal);
  }
}
