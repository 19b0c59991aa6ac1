#include "app/wiring/api_server.h"

namespace millrace::app {

base::Result<std::unique_ptr<ApiServer>> ApiServer::start(const Settings& settings,
                                                          Dependencies& dependencies,
                                                          telemetry::Registry& registry,
                                                          std::function<void()> on_committed,
                                                          api::PipelineParts parts) {
  std::unique_ptr<ApiServer> front(new ApiServer);
  front->analytics_ = std::make_unique<analytics::Analytics>(*dependencies.warehouse);
  ordering::Options ordering = ordering_options(settings);
  ordering.tracer = dependencies.tracer;
  front->orders_ = std::make_unique<ordering::OrderService>(*dependencies.store, dependencies.clock, ordering,
                                                            std::move(on_committed));
  api::Options api_options;
  api_options.tracer = dependencies.tracer;
  api_options.store_threads = static_cast<std::size_t>(settings.api_read_threads);
  front->api_ = std::make_unique<api::Api>(*front->orders_, *dependencies.store, *front->analytics_,
                                           dependencies.clock, api_options, std::move(parts));
  registry.add_collector([orders = front->orders_.get()] {
    return telemetry::Samples{
        {"millrace_order_writer_queue_commands", static_cast<double>(orders->queued())}};
  });
  front->metrics_ = std::make_unique<HttpMetrics>(registry);
  adapters::http::HttpServerOptions server;
  server.on_answered = [metrics = front->metrics_.get()](const adapters::http::Answered& answered) {
    metrics->on_answered(answered);
  };
  server.host = settings.api_host;
  server.port = static_cast<std::uint16_t>(settings.api_port);
  server.body_bytes_max = static_cast<std::size_t>(settings.api_body_bytes_max);
  server.connections_max = static_cast<std::size_t>(settings.api_connections_max);
  MILLRACE_TRY_ASSIGN(server.access, web::access_rules(settings.api_host, settings.http_allowed_hosts,
                                                       settings.cors_origins));
  MILLRACE_TRY_ASSIGN(front->server_, adapters::http::HttpServer::start(*front->api_, server));
  return front;
}

void ApiServer::stop(base::Deadline deadline) {
  server_->stop(deadline);
  orders_->stop();
}

}  // namespace millrace::app
