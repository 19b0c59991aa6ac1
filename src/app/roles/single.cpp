#include <memory>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/connect.h"
#include "app/event_log.h"
#include "app/front.h"
#include "app/neighbours.h"
#include "app/operations.h"
#include "app/pipeline.h"
#include "app/refusals.h"
#include "app/roles/roles.h"
#include "base/url.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kStopPollInterval{1'000};

}  // namespace

base::Result<void> run_api(const Settings& settings, const base::StopSignal& stop) {
  MILLRACE_TRY_ASSIGN(const auto neighbours, make_neighbours(settings));
  InspectedLog log;
  std::unique_ptr<Operations> operations;
  // The embedded log is in the process of `millrace up`, and nowhere else.
  if (settings.event_log_kind == "kafka") {
    MILLRACE_TRY_ASSIGN(log, open_inspected_log(settings));
    MILLRACE_TRY_ASSIGN(operations, Operations::start(settings, *neighbours, *log.log, *log.inspector,
                                                      {.on_refusal = [](const base::Error& error) {
                                                        spdlog::error(
                                                            "jobs are not executed here any more: {}",
                                                            error.message);
                                                      }}));
  }
  MILLRACE_TRY_ASSIGN(
      const auto front,
      Front::start(settings, *neighbours, [] {}, operations ? operations->parts() : api::PipelineParts{}));
  spdlog::info("HTTP API on {}", base::http_url(settings.api_host, front->port()));
  while (!stop.wait_for(kStopPollInterval)) {
  }
  front->stop(base::Deadline::in(settings.stop_timeout));
  if (operations) operations->stop();
  return {};
}

base::Result<void> run_stage(const Settings& settings, const std::string& role, base::StopSignal& stop) {
  if (settings.event_log_kind == "embedded")
    return base::invalid(
        fmt::format("the embedded event log lives inside the process of `millrace up`, which runs the {} "
                    "stage too; start "
                    "that instead, or set event_log.kind to kafka",
                    role));
  MILLRACE_TRY_ASSIGN(const auto neighbours, make_neighbours(settings));
  Refusals refusals(stop);
  Stages stages{.relay = role == "relay", .transform = role == "transform", .sink = role == "sink"};
  std::unique_ptr<Connect> connect;
  if (stages.sink && is_connect_used(settings)) {
    MILLRACE_TRY_ASSIGN(connect, Connect::make(settings, *neighbours));
    stages.control = &connect->control();
  }
  MILLRACE_TRY_ASSIGN(
      const auto pipeline,
      Pipeline::start(settings, *neighbours, [&](const base::Error& error) { refusals.add(error); }, stages));
  std::unique_ptr<Operations> operations;
  if (settings.has_store_credentials) {
    MILLRACE_TRY_ASSIGN(operations,
                        Operations::start(settings, *neighbours, pipeline->log(), pipeline->log_inspector(),
                                          {.hold = [&pipeline](bool held) { pipeline->hold(held); },
                                           .on_refusal =
                                               [](const base::Error& error) {
                                                 spdlog::error("jobs are not executed here any more: {}",
                                                               error.message);
                                               }}));
  } else {
    spdlog::info(
        "this process has no password for the order store or the warehouse: jobs and scheduled verification "
        "are left to others");
  }
  spdlog::info("{} runs", role);
  // Several sinks on a machine take turns at the port.
  do {
    if (connect) connect->try_to_serve();
  } while (!stop.wait_for(kStopPollInterval));
  if (operations) operations->stop();
  pipeline->stop();
  if (const auto refused = refusals.first()) return std::unexpected(*refused);
  return {};
}

}  // namespace millrace::app
