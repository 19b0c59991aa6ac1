#include <memory>
#include <optional>

#include <CLI/CLI.hpp>

#include "adapters/system/signals.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/exit_codes.h"
#include "app/config/run_as.h"
#include "app/local/local_stack.h"
#include "app/roles/roles.h"

namespace millrace::app {
namespace {

/// Starts a child in the background that goes on as any other `up`. Shape: in the child nothing, in this
/// process the exit code, once the child is up or has failed.
std::optional<int> start_in_background(const Settings& settings) {
  for (;;) {
    const auto detached = detach(settings);
    if (!detached) return finish(std::unexpected(detached.error()));
    if (*detached == 0) return std::nullopt;
    base::StopSignal stop_following;
    const adapters::system::SignalWatch signals(stop_following);
    const auto is_up = follow_start(settings, *detached, stop_following);
    if (!is_up) return finish(std::unexpected(is_up.error()));
    if (*is_up) return kExitOk;
  }
}

int run(const SettingSources& sources, const UpOptions& options) {
  auto settings = sources.load();
  if (!settings) return finish(std::unexpected(settings.error()));
  if (const auto became = become_unprivileged(*settings, true); !became) return finish(became);
  if (options.detach)
    if (const auto code = start_in_background(*settings)) return *code;
  base::StopSignal stop;
  const adapters::system::SignalWatch signals(stop);
  // The log is set up there, because it may be in the data directory.
  return finish(run_up(*settings, options, stop));
}

}  // namespace

void add_up_command(CLI::App& app, Commands& commands) {
  const auto options = std::make_shared<UpOptions>();
  CLI::App& up = commands.add(app, "up", "Run everything in one process, with the embedded servers",
                              [options](const SettingSources& sources) { return run(sources, *options); });
  up.add_flag("--demo", options->demo, "Send a gentle stream of orders");
  up.add_option("--demo-rate", options->demo_rate, "Demo orders per second")
      ->check(CLI::Range(0.01, 10'000.0));
  up.add_flag(
      "--rebuild", options->rebuild,
      "Begin by rebuilding the warehouse's tables from the order store (after a lost warehouse or log)");
  up.add_flag("--dev-credentials", options->dev_credentials,
              "Let the embedded servers have the known passwords of the README instead of generated ones");
  up.add_flag("!--no-summary", options->summary, "Log lines only, no live screen");
  up.add_flag("--detach", options->detach,
              "In the background: returns when everything is up, and says where it is");
}

}  // namespace millrace::app
