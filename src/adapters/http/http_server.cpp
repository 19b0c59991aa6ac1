#include "adapters/http/http_server.h"

#include <fmt/format.h>

#include "adapters/http/listener.h"

namespace millrace::adapters::http {

HttpServer::HttpServer(std::shared_ptr<Listener> listener) : listener_(std::move(listener)) {}

HttpServer::~HttpServer() {
  stop(base::Deadline::in(std::chrono::seconds(1)));
}

base::Result<std::unique_ptr<HttpServer>> HttpServer::start(ports::HttpHandler& handler,
                                                            HttpServerOptions options) {
  if (options.access.listen_host.empty()) options.access.listen_host = options.host;
  try {
    auto listener = std::make_shared<Listener>(handler, std::move(options));
    MILLRACE_TRY(listener->listen());
    listener->run();
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(listener)));
  } catch (const std::exception& failure) {
    return base::fatal(fmt::format("cannot start the HTTP server: {}", failure.what()));
  }
}

std::uint16_t HttpServer::port() const {
  return listener_->port;
}

bool HttpServer::stop(base::Deadline deadline) {
  return listener_->stop(deadline);
}

}  // namespace millrace::adapters::http
