// /metrics, /healthz and /readyz of a process that runs a stage alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "adapters/http/http_server.h"
#include "api/readiness.h"
#include "api/worker_pool.h"
#include "app/config/settings.h"
#include "app/wiring/delivery_monitor.h"
#include "app/wiring/stage_runner.h"
#include "base/result.h"
#include "telemetry/registry.h"

namespace millrace::app {

/// The part of the readiness that stages and their changes have.
[[nodiscard]] api::PipelineReadiness pipeline_readiness(const std::vector<StageStatus>& stages,
                                                        const Delivery& delivery);

/// Owns its threads. What it is given must outlive it.
class AdminServer final : private ports::HttpHandler {
 public:
  /// `pipeline` is asked for every /readyz; it may wait a second. Errors: as HttpServer::start.
  [[nodiscard]] static base::Result<std::unique_ptr<AdminServer>> start(
      const std::string& host, std::uint16_t port, const Settings& settings, telemetry::Registry& registry,
      std::function<api::PipelineReadiness()> pipeline);
  ~AdminServer() override;

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }

 private:
  AdminServer(telemetry::Registry& registry, std::function<api::PipelineReadiness()> pipeline);
  void handle(ports::HttpRequest request, ports::HttpReply reply) override;
  [[nodiscard]] ports::HttpResponse answer(const std::string& route);

  telemetry::Registry& registry_;
  const std::function<api::PipelineReadiness()> pipeline_;
  api::WorkerPool pool_;
  std::unique_ptr<adapters::http::HttpServer> server_;
};

}  // namespace millrace::app
