#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/front.h"
#include "app/neighbours.h"
#include "app/roles/roles.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kStopPollInterval{1'000};

}  // namespace

base::Result<void> run_api(const Settings& settings, const base::StopSignal& stop) {
  MILLRACE_TRY_ASSIGN(const auto neighbours, make_neighbours(settings));
  MILLRACE_TRY_ASSIGN(const auto front, Front::start(settings, *neighbours, [] {}));
  spdlog::info("HTTP API on http://{}:{}", settings.api_host, front->port());
  while (!stop.wait_for(kStopPollInterval)) {
  }
  front->stop(base::Deadline::in(settings.stop_timeout));
  return {};
}

base::Result<void> run_stage(const Settings& settings, const std::string& role) {
  return base::invalid(fmt::format(
      "the {} event log lives inside the process of `millrace up`, which runs the {} stage too; start that "
      "instead (a stage of its own needs an event log that processes share)",
      settings.event_log_kind, role));
}

}  // namespace millrace::app
