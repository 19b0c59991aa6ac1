#include "connect/rest.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/exceptions.h"
#include "base/json.h"
#include "base/request_id.h"
#include "base/text.h"
#include "web/router.h"

namespace millrace::connect {
namespace {

// Statuses and shapes are those of Kafka Connect 4.3.1: org.apache.kafka.connect.runtime.rest, resources and
// entities.
constexpr std::size_t kWaitingMax = 64;
constexpr std::string_view kRequestId = "x-request-id";
constexpr int kOk = 200;
constexpr int kCreated = 201;
constexpr int kAccepted = 202;
constexpr int kNoContent = 204;

using ports::HttpRequest;
using ports::HttpResponse;

HttpResponse json_response(std::string body, int status = kOk) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

HttpResponse empty_response(int status) {
  return json_response("", status);
}

HttpResponse error_response(int status, std::string_view message) {
  std::string body;
  base::JsonWriter(body)
      .begin_object()
      .key("error_code")
      .number(status)
      .key("message")
      .string(message)
      .end_object();
  return json_response(std::move(body), status);
}

HttpResponse error_response(const HttpRequest& request, const base::Error& error) {
  const auto away = [&] {
    spdlog::warn("connect: {} (code {}, request {})", error.message, error.vendor_code,
                 request.header(kRequestId).value_or("-"));
    return error_response(503,
                          "the warehouse, which keeps the connector's state, does not answer; try again");
  };
  if (error.vendor_code != 0) return away();  // what a server said may hold SQL, users and hosts
  switch (error.kind) {
    case base::ErrorKind::kInvalid:
    case base::ErrorKind::kRejected:
      return error_response(400, error.message);
    case base::ErrorKind::kNotFound:
      return error_response(404, error.message);
    case base::ErrorKind::kConflict:
      return error_response(409, error.message);
    default:
      return away();
  }
}

HttpResponse not_found() {
  return error_response(404, "HTTP 404 Not Found");
}

HttpResponse connector_not_found(std::string_view name) {
  return error_response(404, fmt::format("Connector {} not found", base::printable(name, 100)));
}

/// A path below /connectors/{name} with another name than the only one there is.
bool names_another(const HttpRequest& request) {
  return request.path.size() >= 2 && request.path[0] == "connectors" && request.path[1] != kConnectorName;
}

/// A path below /connectors/{name}/tasks/{task}: there is the task 0.
bool names_the_task(const HttpRequest& request) {
  return request.path[3] == "0";
}
HttpResponse no_task(const HttpRequest& request) {
  return error_response(404, fmt::format("No status found for task {}-{}", kConnectorName,
                                         base::printable(request.path[3], 20)));
}

HttpResponse invalid_config(const std::vector<ConfigProblem>& problems) {
  std::string message = fmt::format(
      "Connector configuration is invalid and contains the following {} error(s):", problems.size());
  for (const ConfigProblem& problem : problems)
    message += fmt::format("\n{}: {}", problem.key, problem.message);
  return error_response(400, message);
}

std::string info_json(const Connector& connector) {
  std::string text;
  base::JsonWriter json(text);
  json.begin_object().key("name").string(kConnectorName).key("config").raw(config_json(connector.config));
  json.key("tasks").begin_array();
  if (connector.target != TargetState::kStopped)
    json.begin_object().key("connector").string(kConnectorName).key("task").number(0).end_object();
  json.end_array().key("type").string("sink").end_object();
  return text;
}

std::string tasks_json(const Connector& connector) {
  if (connector.target == TargetState::kStopped) return "[]";
  std::string text;
  base::JsonWriter json(text);
  json.begin_array().begin_object().key("id").begin_object();
  json.key("connector").string(kConnectorName).key("task").number(0).end_object();
  json.key("config").raw(config_json(connector.config)).end_object().end_array();
  return text;
}

bool is_true(const HttpRequest& request, std::string_view name) {
  return base::to_lower(request.parameter(name).value_or("false")) == "true";
}

/// "connector.class" among others: what validate says of one key.
void append_validated(base::JsonWriter& json, const std::string& key, const std::optional<std::string>& value,
                      bool required, const std::vector<ConfigProblem>& problems) {
  json.begin_object().key("definition").begin_object();
  json.key("name").string(key).key("type").string("STRING").key("required").boolean(required);
  json.key("default_value").null().key("importance").string(required ? "HIGH" : "LOW");
  json.key("documentation").string("").key("group").null().key("width").string("MEDIUM");
  json.key("display_name").string(key).key("dependents").begin_array().end_array().key("order").number(0);
  json.end_object().key("value").begin_object().key("name").string(key).key("value");
  if (value)
    json.string(*value);
  else
    json.null();
  json.key("recommended_values").begin_array().end_array().key("errors").begin_array();
  for (const ConfigProblem& problem : problems)
    if (problem.key == key) json.string(problem.message);
  json.end_array().key("visible").boolean(true).end_object().end_object();
}

}  // namespace

HttpResponse refusal(int status, std::string_view message) {
  return error_response(status, message);
}

Rest::Rest(Control& control, RestOptions options)
    : control_(control), options_(std::move(options)), jobs_(kWaitingMax) {
  thread_ = std::thread([this] {
    while (!jobs_.drained())
      for (const auto& job : jobs_.pop_some(1, base::Deadline::in(std::chrono::seconds(60)))) {
        const auto thrown = base::exception_of(job);
        if (thrown) spdlog::error("connect: a request is left without an answer: {}", *thrown);
      }
  });
}

Rest::~Rest() {
  jobs_.close();
  thread_.join();
}

void Rest::handle(HttpRequest request, ports::HttpReply given) {
  const std::string id = base::request_id(request.header(kRequestId));
  std::erase_if(request.headers, [](const auto& header) { return header.first == kRequestId; });
  request.headers.emplace_back(kRequestId, id);
  auto reply = [id, given = std::move(given)](HttpResponse response) {
    ports::name_request(response, id);
    given(std::move(response));
  };
  // Shared, because a full queue gives it back.
  const auto call =
      std::make_shared<std::pair<HttpRequest, ports::HttpReply>>(std::move(request), std::move(reply));
  auto job = [this, call] {
    const auto thrown = base::exception_of([&] { call->second(answer(call->first)); });
    if (!thrown) return;
    spdlog::error("connect: an exception: {} (request {})", *thrown,
                  call->first.header(kRequestId).value_or("-"));
    call->second(error_response(500, "the server failed to answer this; its log says more"));
  };
  if (!jobs_.try_push(std::move(job)))
    call->second(error_response(503, "too many requests are waiting; try again"));
}

HttpResponse Rest::answer(const HttpRequest& request) {
  static constexpr std::array kRoutes{
      Route{"GET", "/", &Rest::show_version},
      Route{"GET", "/connector-plugins", &Rest::list_plugins},
      Route{"PUT", "/connector-plugins/{class}/config/validate", &Rest::validate},
      Route{"GET", "/connectors", &Rest::list_connectors},
      Route{"POST", "/connectors", &Rest::create},
      Route{"GET", "/connectors/{name}", &Rest::show_info},
      Route{"DELETE", "/connectors/{name}", &Rest::remove},
      Route{"GET", "/connectors/{name}/config", &Rest::show_config},
      Route{"PUT", "/connectors/{name}/config", &Rest::put_config},
      Route{"GET", "/connectors/{name}/status", &Rest::show_status},
      Route{"GET", "/connectors/{name}/tasks", &Rest::list_tasks},
      Route{"GET", "/connectors/{name}/topics", &Rest::list_topics},
      Route{"PUT", "/connectors/{name}/pause", &Rest::pause},
      Route{"PUT", "/connectors/{name}/resume", &Rest::resume},
      Route{"PUT", "/connectors/{name}/stop", &Rest::stop},
      Route{"POST", "/connectors/{name}/restart", &Rest::restart},
      Route{"GET", "/connectors/{name}/tasks/{task}/status", &Rest::show_task},
      Route{"POST", "/connectors/{name}/tasks/{task}/restart", &Rest::restart_task},
  };
  const auto match = web::find_route(std::span<const Route>(kRoutes), request.method, request.path);
  // A configuration may name a connector that is not there yet.
  const bool may_be_new = match.route != nullptr && match.route->handler == &Rest::put_config;
  HttpResponse response;
  if (names_another(request) && !may_be_new)
    response = connector_not_found(request.path[1]);
  else if (match.route != nullptr)
    response = (this->*match.route->handler)(request);
  else
    response = match.allowed.empty() ? not_found() : error_response(405, "HTTP 405 Method Not Allowed");
  if (match.route != nullptr) response.route = match.route->pattern;
  return response;
}

HttpResponse Rest::show_version(const HttpRequest& /*request*/) {
  std::string body;
  base::JsonWriter json(body);
  json.begin_object().key("version").string(options_.version).key("commit").string("millrace");
  json.key("kafka_cluster_id").null().end_object();
  return json_response(std::move(body));
}

HttpResponse Rest::list_plugins(const HttpRequest& /*request*/) {
  std::string body;
  base::JsonWriter json(body);
  json.begin_array().begin_object().key("class").string(kConnectorClass).key("type").string("sink");
  json.key("version").string("undefined").end_object().end_array();
  return json_response(std::move(body));
}

/// What `shape` makes of the connector.
template <class Shape>
HttpResponse Rest::shown(const HttpRequest& request, Shape shape) {
  const auto connector = control_.connector();
  return connector ? json_response(shape(*connector)) : error_response(request, connector.error());
}

HttpResponse Rest::show_info(const HttpRequest& request) {
  return shown(request, info_json);
}
HttpResponse Rest::show_config(const HttpRequest& request) {
  return shown(request, [](const Connector& connector) { return config_json(connector.config); });
}
HttpResponse Rest::show_status(const HttpRequest& request) {
  return shown(request, [this](const Connector& connector) { return status_json(connector); });
}
HttpResponse Rest::list_tasks(const HttpRequest& request) {
  return shown(request, tasks_json);
}
HttpResponse Rest::list_topics(const HttpRequest& request) {
  return shown(request, [](const Connector&) {
    return fmt::format(R"({{"{}":{{"topics":["{}"]}}}})", kConnectorName, kTopic);
  });
}
HttpResponse Rest::show_task(const HttpRequest& request) {
  if (!names_the_task(request)) return no_task(request);
  return shown(request, [this](const Connector& connector) { return task_json(connector); });
}

HttpResponse Rest::set_target(const HttpRequest& request, TargetState target, int status) {
  const auto done = control_.set_target(target);
  return done ? empty_response(status) : error_response(request, done.error());
}
HttpResponse Rest::remove(const HttpRequest& request) {
  return set_target(request, TargetState::kDeleted, kNoContent);
}
HttpResponse Rest::pause(const HttpRequest& request) {
  return set_target(request, TargetState::kPaused, kAccepted);
}
HttpResponse Rest::resume(const HttpRequest& request) {
  return set_target(request, TargetState::kRunning, kAccepted);
}
HttpResponse Rest::stop(const HttpRequest& request) {
  return set_target(request, TargetState::kStopped, kNoContent);
}
HttpResponse Rest::restart_task(const HttpRequest& request) {
  if (!names_the_task(request)) return no_task(request);
  const auto done = control_.restart();
  return done ? empty_response(kNoContent) : error_response(request, done.error());
}

HttpResponse Rest::list_connectors(const HttpRequest& request) {
  const auto connector = control_.connector();
  if (!connector && connector.error().kind != base::ErrorKind::kNotFound)
    return error_response(request, connector.error());
  if (!request.parameter("expand"))
    return json_response(connector ? fmt::format(R"(["{}"])", kConnectorName) : "[]");
  if (!connector) return json_response("{}");
  std::string text;
  base::JsonWriter json(text);
  json.begin_object().key(kConnectorName).begin_object();
  const auto wants = [&](std::string_view expansion) {
    return std::ranges::find(request.query, std::pair(std::string("expand"), std::string(expansion))) !=
           request.query.end();
  };
  if (wants("status")) json.key("status").raw(status_json(*connector));
  if (wants("info")) json.key("info").raw(info_json(*connector));
  json.end_object().end_object();
  return json_response(std::move(text));
}

HttpResponse Rest::create(const HttpRequest& request) {
  auto named = parse_named_config(request.body);
  if (!named) return error_response(request, named.error());
  if (named->config.contains("name") && named->config["name"] != named->name)
    return error_response(400,
                          "Connector name configuration (config.name) doesn't match connector name (name)");
  named->config["name"] = named->name;
  if (const auto problems = problems_of(named->config); !problems.empty()) return invalid_config(problems);
  const auto put = control_.put(std::move(named->config), false);
  if (!put) return error_response(request, put.error());
  HttpResponse response = json_response(info_json(put->first), kCreated);
  response.headers.emplace_back("Location", fmt::format("/connectors/{}", kConnectorName));
  return response;
}

HttpResponse Rest::put_config(const HttpRequest& request) {
  auto config = parse_config(request.body);
  if (!config) return error_response(request, config.error());
  const std::string& name = request.path[1];
  if (config->contains("name") && (*config)["name"] != name)
    return error_response(400, "Connector name configuration doesn't match the name in the address");
  (*config)["name"] = name;
  if (const auto problems = problems_of(*config); !problems.empty()) return invalid_config(problems);
  const auto put = control_.put(std::move(*config), true);
  if (!put) return error_response(request, put.error());
  HttpResponse response = json_response(info_json(put->first), put->second ? kCreated : kOk);
  if (put->second) response.headers.emplace_back("Location", fmt::format("/connectors/{}", kConnectorName));
  return response;
}

/// The connector and its task are one here, so that a restart is always of both.
HttpResponse Rest::restart(const HttpRequest& request) {
  if (is_true(request, "onlyFailed") && control_.task().failure.empty()) {
    const auto connector = control_.connector();
    return connector ? json_response(status_json(*connector), kAccepted)
                     : error_response(request, connector.error());
  }
  if (const auto done = control_.restart(); !done) return error_response(request, done.error());
  if (!is_true(request, "includeTasks") && !is_true(request, "onlyFailed")) return empty_response(kNoContent);
  const auto connector = control_.connector();
  return connector ? json_response(status_json(*connector), kAccepted)
                   : error_response(request, connector.error());
}

HttpResponse Rest::validate(const HttpRequest& request) {
  const auto config = parse_config(request.body);
  if (!config) return error_response(request, config.error());
  const auto problems = problems_of(*config);
  std::string text;
  base::JsonWriter json(text);
  json.begin_object().key("name").string(kConnectorClass).key("error_count");
  json.number(std::uint64_t{problems.size()});
  json.key("groups").begin_array().end_array().key("configs").begin_array();
  const auto required = [](std::string_view key) {
    return key == "connector.class" || key == "topics" || key == "database";
  };
  const Config shown = masked(*config);
  for (const auto& [key, value] : shown) append_validated(json, key, value, required(key), problems);
  for (const ConfigProblem& problem : problems)
    if (!shown.contains(problem.key))
      append_validated(json, problem.key, std::nullopt, required(problem.key), problems);
  json.end_array().end_object();
  return json_response(std::move(text));
}

std::string Rest::task_json(const Connector& connector) const {
  const Task task = control_.task();
  std::string text;
  base::JsonWriter json(text);
  json.begin_object().key("id").number(0).key("state");
  if (!task.failure.empty()) {
    json.string("FAILED");
  } else if (connector.target == TargetState::kRunning) {
    json.string(task.is_running ? "RUNNING" : "UNASSIGNED");
  } else {
    json.string("PAUSED");
  }
  json.key("worker_id").string(options_.worker_id);
  if (!task.failure.empty()) json.key("trace").string(task.failure);
  json.end_object();
  return text;
}

std::string Rest::status_json(const Connector& connector) const {
  std::string text;
  base::JsonWriter json(text);
  json.begin_object().key("name").string(kConnectorName).key("connector").begin_object();
  json.key("state").string(to_string(connector.target)).key("worker_id").string(options_.worker_id);
  json.end_object().key("tasks").begin_array();
  if (connector.target != TargetState::kStopped) json.raw(task_json(connector));
  json.end_array().key("type").string("sink").end_object();
  return text;
}

}  // namespace millrace::connect
