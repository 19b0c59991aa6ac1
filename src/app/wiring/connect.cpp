#include "app/wiring/connect.h"

#include <embedded/kConnectorFile.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/cli/commands.h"
#include "base/url.h"

namespace millrace::app {

bool is_connect_used(const Settings& settings) {
  return settings.event_log_kind == "kafka" ||
         (settings.given.contains("connect.port") && settings.connect_port != 0);
}

base::Result<std::unique_ptr<Connect>> Connect::make(const Settings& settings, Dependencies& dependencies) {
  std::unique_ptr<Connect> made(new Connect(settings));
  MILLRACE_TRY_ASSIGN(auto built_in, connect::parse_named_config(embedded::kConnectorFile));
  built_in.config["name"] = built_in.name;
  made->registry_ = std::make_unique<connect::WarehouseRegistry>(*dependencies.warehouse,
                                                                 connect::masked(std::move(built_in.config)));
  made->control_ = std::make_unique<connect::Control>(*made->registry_);
  return made;
}

base::Result<void> Connect::serve() {
  if (server_ || settings_.connect_port == 0) return {};
  if (!rest_)
    rest_ = std::make_unique<connect::Rest>(
        *control_, connect::RestOptions{
                       .version = kVersion,
                       .worker_id = base::host_and_port(settings_.connect_host, settings_.connect_port)});
  adapters::http::HttpServerOptions options;
  options.host = settings_.connect_host;
  options.port = static_cast<std::uint16_t>(settings_.connect_port);
  options.connections_max = 64;
  options.refuse = connect::refusal;
  MILLRACE_TRY_ASSIGN(options.access, web::access_rules(settings_.connect_host, settings_.http_allowed_hosts,
                                                        settings_.cors_origins));
  auto server = adapters::http::HttpServer::start(*rest_, options);
  if (!server)
    return base::fail(
        server.error().kind,
        fmt::format("{} (Kafka Connect's REST interface, setting connect.port)", server.error().message),
        server.error().vendor_code);
  server_ = std::move(*server);
  spdlog::info("Kafka Connect's REST interface on {}",
               base::http_url(settings_.connect_host, server_->port()));
  return {};
}

void Connect::try_to_serve() {
  const auto served = serve();
  if (!served && taken_.should_log(served.error()))
    spdlog::warn("{}: continuing without it and retrying", served.error().message);
}

void Connect::stop(base::Deadline deadline) {
  if (server_) server_->stop(deadline);
}

}  // namespace millrace::app
