#include "connect/rest.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/json.h"
#include "base/request_id.h"
#include "base/text.h"

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
        try {
          job();
        } catch (const std::exception& failure) {
          spdlog::error("connect: a request ended with an exception: {}", failure.what());
        }
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
  const auto job = [this, call] {
    try {
      call->second(answer(call->first));
    } catch (const std::exception& failure) {
      spdlog::error("connect: an exception: {} (request {})", failure.what(),
                    call->first.header(kRequestId).value_or("-"));
      call->second(error_response(500, "the server failed to answer this; its log says more"));
    }
  };
  if (!jobs_.try_push(job)) call->second(error_response(503, "too many requests are waiting; try again"));
}

HttpResponse Rest::answer(const HttpRequest& request) {
  const auto& path = request.path;
  const std::string& method = request.method;
  const auto only = [&](std::string_view allowed, const auto& then) {
    return method == allowed ? then() : error_response(405, "HTTP 405 Method Not Allowed");
  };
  if (path.empty())
    return only("GET", [&] {
      std::string body;
      base::JsonWriter(body)
          .begin_object()
          .key("version")
          .string(options_.version)
          .key("commit")
          .string("millrace")
          .key("kafka_cluster_id")
          .null()
          .end_object();
      return json_response(std::move(body));
    });
  if (path[0] == "connector-plugins") {
    if (path.size() == 1)
      return only("GET", [] {
        std::string body;
        base::JsonWriter json(body);
        json.begin_array().begin_object().key("class").string(kConnectorClass).key("type").string("sink");
        json.key("version").string("undefined").end_object().end_array();
        return json_response(std::move(body));
      });
    if (path.size() == 4 && path[2] == "config" && path[3] == "validate")
      return only("PUT", [&] { return validate(request); });
    return not_found();
  }
  if (path[0] != "connectors") return not_found();
  if (path.size() == 1)
    return method == "POST" ? create(request) : only("GET", [&] { return connectors(request); });
  const std::string& name = path[1];
  const std::string_view what = path.size() > 2 ? std::string_view(path[2]) : std::string_view();
  if (path.size() == 3 && what == "config" && method == "PUT") return put_config(request);
  if (name != kConnectorName) return connector_not_found(name);

  const auto shown = [&](const std::function<std::string(const Connector&)>& shape) {
    return only("GET", [&] {
      const auto connector = control_.connector();
      return connector ? json_response(shape(*connector)) : error_response(request, connector.error());
    });
  };
  const auto told = [&](std::string_view allowed, int status,
                        const std::function<base::Result<void>()>& command) {
    return only(allowed, [&] {
      const auto done = command();
      return done ? empty_response(status) : error_response(request, done.error());
    });
  };
  const auto target = [this](TargetState state) {
    return [this, state] { return control_.set_target(state); };
  };
  if (path.size() == 2)
    return method == "DELETE" ? told("DELETE", kNoContent, target(TargetState::kDeleted)) : shown(info_json);
  if (path.size() == 3) {
    if (what == "config")
      return shown([](const Connector& connector) { return config_json(connector.config); });
    if (what == "status") return shown([this](const Connector& connector) { return status_json(connector); });
    if (what == "tasks") return shown(tasks_json);
    if (what == "topics")
      return shown([](const Connector&) {
        return fmt::format(R"({{"{}":{{"topics":["{}"]}}}})", kConnectorName, kTopic);
      });
    if (what == "pause") return told("PUT", kAccepted, target(TargetState::kPaused));
    if (what == "resume") return told("PUT", kAccepted, target(TargetState::kRunning));
    if (what == "stop") return told("PUT", kNoContent, target(TargetState::kStopped));
    if (what == "restart") return only("POST", [&] { return restart(request); });
  }
  if (path.size() == 5 && what == "tasks") {
    if (path[3] != "0")
      return error_response(
          404, fmt::format("No status found for task {}-{}", kConnectorName, base::printable(path[3], 20)));
    if (path[4] == "status")
      return shown([this](const Connector& connector) { return task_json(connector); });
    if (path[4] == "restart") return told("POST", kNoContent, [this] { return control_.restart(); });
  }
  return not_found();
}

HttpResponse Rest::connectors(const HttpRequest& request) {
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

HttpResponse Rest::validate(const HttpRequest& request) const {
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
