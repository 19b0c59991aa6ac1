// The HTTP front: the order service, the analytics questions and the API behind one server.
#pragma once

#include <functional>
#include <memory>

#include "adapters/http/http_server.h"
#include "analytics/analytics.h"
#include "api/api.h"
#include "app/config/settings.h"
#include "app/wiring/dependencies.h"
#include "app/wiring/http_metrics.h"
#include "ordering/order_service.h"
#include "telemetry/registry.h"

namespace millrace::app {

/// Owns what answers HTTP requests. One caller.
class ApiServer {
 public:
  /// `registry` must outlive it, and is not scraped after it. `on_committed` is called after commits that
  /// wrote outbox rows, on any thread. Errors: as HttpServer::start.
  [[nodiscard]] static base::Result<std::unique_ptr<ApiServer>> start(const Settings& settings,
                                                                      Dependencies& dependencies,
                                                                      telemetry::Registry& registry,
                                                                      std::function<void()> on_committed,
                                                                      api::PipelineParts parts = {});

  /// Refuses new requests, finishes the running ones until the deadline.
  void stop(base::Deadline deadline);

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  [[nodiscard]] analytics::Analytics& analytics() { return *analytics_; }

 private:
  ApiServer() = default;
  // Destroyed from the last to the first: the server, the API's queued reads, the order service, whose
  // callbacks answer requests.
  std::unique_ptr<HttpMetrics> metrics_;
  std::unique_ptr<analytics::Analytics> analytics_;
  std::unique_ptr<ordering::OrderService> orders_;
  std::unique_ptr<api::Api> api_;
  std::unique_ptr<adapters::http::HttpServer> server_;
};

}  // namespace millrace::app
