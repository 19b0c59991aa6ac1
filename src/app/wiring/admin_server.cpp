#include "app/wiring/admin_server.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <spdlog/spdlog.h>

namespace millrace::app {
namespace {

// Scrapes and probes: a few a minute, each a second at most.
constexpr std::size_t kThreads = 1;
constexpr std::size_t kWaitingMax = 16;
constexpr std::size_t kConnectionsMax = 64;
constexpr std::chrono::milliseconds kStopTimeout{1'000};

}  // namespace

api::PipelineReadiness pipeline_readiness(const std::vector<StageStatus>& stages, const Delivery& delivery) {
  api::PipelineReadiness readiness;
  for (const StageStatus& status : stages) {
    if (status.state == StageState::kRunning) continue;
    readiness.runs = readiness.runs && status.state != StageState::kFailed;
    readiness.stages.push_back({status.stage, std::string(to_string(status.state)), status.reason});
  }
  readiness.delivery = delivery.reason;
  readiness.runs = readiness.runs && delivery.stalled_stage.empty();
  return readiness;
}

AdminServer::AdminServer(telemetry::Registry& registry, std::function<api::PipelineReadiness()> pipeline)
    : registry_(registry), pipeline_(std::move(pipeline)), pool_(kThreads, kWaitingMax) {}

AdminServer::~AdminServer() {
  if (server_) server_->stop(base::Deadline::in(kStopTimeout));
}

base::Result<std::unique_ptr<AdminServer>> AdminServer::start(
    const std::string& host, std::uint16_t port, const Settings& settings, telemetry::Registry& registry,
    std::function<api::PipelineReadiness()> pipeline) {
  std::unique_ptr<AdminServer> made(new AdminServer(registry, std::move(pipeline)));
  adapters::http::HttpServerOptions options;
  options.host = host;
  options.port = port;
  options.connections_max = kConnectionsMax;
  MILLRACE_TRY_ASSIGN(options.access,
                      web::access_rules(host, settings.http_allowed_hosts, settings.cors_origins));
  MILLRACE_TRY_ASSIGN(made->server_, adapters::http::HttpServer::start(*made, options));
  return made;
}

ports::HttpResponse AdminServer::answer(const std::string& route) {
  ports::HttpResponse response;
  if (route == "healthz") {
    response.body = R"({"status":"up"})";
  } else if (route == "readyz") {
    const api::PipelineReadiness pipeline = pipeline_();
    api::Readiness readiness = api::readiness_of({}, &pipeline);
    response.status = readiness.is_ready ? 200 : 503;
    response.body = std::move(readiness.json);
  } else if (route == "metrics") {
    response.content_type = telemetry::kTextContentType;
    response.body = registry_.text();
  } else {
    return ports::problem_response(404, "this port has /metrics, /healthz and /readyz", "/" + route);
  }
  return response;
}

void AdminServer::handle(ports::HttpRequest request, ports::HttpReply reply) {
  const std::string route = request.path.size() == 1 ? request.path.front() : "";
  if (request.method != "GET")
    return reply(ports::problem_response(405, "only GET is served here", "/" + route));
  const bool taken = pool_.submit([this, route, reply] {
    try {
      reply(answer(route));
    } catch (const std::exception& failure) {
      spdlog::error("admin port: {}: {}", route, failure.what());
      reply(ports::problem_response(500, "the server has a fault; its log says more", "/" + route));
    }
  });
  if (!taken) reply(ports::problem_response(503, "too many requests at a time", "/" + route));
}

}  // namespace millrace::app
