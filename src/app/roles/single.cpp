#include <optional>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/roles/roles.h"
#include "app/wiring/admin_server.h"
#include "app/wiring/api_server.h"
#include "app/wiring/connect.h"
#include "app/wiring/delivery_monitor.h"
#include "app/wiring/dependencies.h"
#include "app/wiring/event_log.h"
#include "app/wiring/metrics.h"
#include "app/wiring/operations.h"
#include "app/wiring/pipeline.h"
#include "app/wiring/stop_watchdog.h"
#include "app/wiring/tracing.h"
#include "base/url.h"
#include "telemetry/registry.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kPollInterval{1'000};

Stages stages_of(const std::string& role) {
  return {.relay = role == "relay", .transform = role == "transform", .sink = role == "sink"};
}

std::pair<std::string, std::int64_t> admin_port_of(const Settings& settings, const std::string& role) {
  if (role == "relay") return {"relay.admin_port", settings.relay_admin_port};
  if (role == "transform") return {"transform.admin_port", settings.transform_admin_port};
  return {"sink.admin_port", settings.sink_admin_port};
}

/// Null when it is off, or when the port was not asked for and another process has it: several relays or
/// sinks on one machine work with the same settings.
base::Result<std::unique_ptr<AdminServer>> start_admin_server(
    const Settings& settings, const std::string& role, telemetry::Registry& registry,
    std::function<api::PipelineReadiness()> readiness) {
  const auto [setting, port] = admin_port_of(settings, role);
  if (port == 0) return nullptr;
  auto server = AdminServer::start(settings.admin_host, static_cast<std::uint16_t>(port), settings, registry,
                                   std::move(readiness));
  if (server) {
    spdlog::info("metrics and readiness on {}", base::http_url(settings.admin_host, (*server)->port()));
    return server;
  }
  if (server.error().kind == base::ErrorKind::kConflict && !settings.given.contains(setting)) {
    spdlog::warn("no metrics and readiness of this process: {}; set {} to a free port, or to 0",
                 server.error().message, setting);
    return nullptr;
  }
  return base::with_context(setting, std::move(server).error());
}

}  // namespace

base::Result<void> run_api(const Settings& settings, const base::StopSignal& stop) {
  StopWatchdog watchdog;
  MILLRACE_TRY_ASSIGN(const auto dependencies, make_dependencies(settings));
  telemetry::Registry registry;
  add_process_metrics(registry);
  const auto tracing = Tracing::start(settings, registry, "api", *dependencies);
  InspectedLog log;
  std::unique_ptr<Operations> operations;
  // The embedded log is in the process of `millrace up`, and nowhere else.
  if (settings.event_log_kind == "kafka") {
    MILLRACE_TRY_ASSIGN(log, open_inspected_log(settings));
    MILLRACE_TRY_ASSIGN(operations, Operations::start(settings, *dependencies, *log.log, *log.inspector, {}));
    add_operations_metrics(registry, *operations);
  }
  DeliveryMonitor delivery(dependencies->outbox.get(), log.log.get(), all_log_stages(), dependencies->clock);
  add_delivery_metrics(registry, delivery);
  auto parts = operations ? operations->parts() : api::PipelineParts{};
  parts.metrics = [&] { return registry.text(); };
  parts.metrics_content_type = std::string(telemetry::kTextContentType);
  MILLRACE_TRY_ASSIGN(const auto api_server,
                      ApiServer::start(settings, *dependencies, registry, [] {}, std::move(parts)));
  spdlog::info("HTTP API on {}", base::http_url(settings.api_host, api_server->port()));
  while (!stop.wait_for(kPollInterval)) {
  }
  watchdog.arm(settings.stop_timeout);
  const auto stop_by = base::Deadline::in(settings.stop_timeout);
  api_server->stop(stop_by);
  if (operations) operations->stop(stop_by);
  tracing->stop(stop_by);
  return {};
}

base::Result<void> run_stage(const Settings& settings, const std::string& role, base::StopSignal& stop) {
  if (settings.event_log_kind == "embedded")
    return base::invalid(
        fmt::format("the embedded event log lives inside the process of `millrace up`, which runs the {} "
                    "stage too; start that instead, or set event_log.kind to kafka",
                    role));
  StopWatchdog watchdog;
  MILLRACE_TRY_ASSIGN(const auto dependencies, make_dependencies(settings));
  telemetry::Registry registry;
  add_process_metrics(registry);
  const auto tracing = Tracing::start(settings, registry, role, *dependencies);
  Stages stages = stages_of(role);
  std::unique_ptr<Connect> connect;
  if (stages.sink && is_connect_used(settings)) {
    MILLRACE_TRY_ASSIGN(connect, Connect::make(settings, *dependencies));
    stages.control = &connect->control();
  }
  MILLRACE_TRY_ASSIGN(const auto pipeline, Pipeline::start(settings, *dependencies, registry, stages));
  DeliveryMonitor delivery(stages.relay ? dependencies->outbox.get() : nullptr, &pipeline->log(),
                           pipeline->log_stages(), dependencies->clock);
  add_pipeline_metrics(registry, *pipeline, stages);
  add_delivery_metrics(registry, delivery);
  std::unique_ptr<Operations> operations;
  if (settings.has_store_credentials) {
    MILLRACE_TRY_ASSIGN(operations,
                        Operations::start(settings, *dependencies, pipeline->log(), pipeline->log_inspector(),
                                          {.hold = [&pipeline](bool held) { pipeline->hold(held); }}));
    add_operations_metrics(registry, *operations);
  } else {
    spdlog::info(
        "this process has no password for the order store or the warehouse: jobs and scheduled verification "
        "are left to others");
  }
  MILLRACE_TRY_ASSIGN(const auto admin, start_admin_server(settings, role, registry, [&] {
                        return pipeline_readiness(pipeline->stages(), delivery.state());
                      }));
  spdlog::info("{} runs", role);
  // Several sinks on a machine take turns at the port.
  do {
    if (connect) connect->try_to_serve();
  } while (!stop.wait_for(kPollInterval));
  watchdog.arm(settings.stop_timeout);
  const auto stop_by = base::Deadline::in(settings.stop_timeout);
  if (operations) operations->stop(stop_by);
  pipeline->stop(stop_by);
  tracing->stop(stop_by);
  return {};
}

}  // namespace millrace::app
