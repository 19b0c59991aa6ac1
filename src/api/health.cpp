// Pages, probes and measurements.
#include "api/handlers.h"
#include "api/pages.h"
#include "base/json.h"

namespace millrace::api {

Answer go_to_console(Context& /*context*/, const Call& /*call*/, base::Deadline /*deadline*/) {
  ports::HttpResponse response;
  response.status = 302;
  response.headers.emplace_back("Location", "/console");
  return response;
}

Answer show_console(Context& /*context*/, const Call& /*call*/, base::Deadline /*deadline*/) {
  ports::HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.body = console_page();
  return response;
}

Answer show_health(Context& context, const Call& /*call*/, base::Deadline /*deadline*/) {
  std::string body;
  base::JsonWriter json(body);
  json.begin_object();
  json.key("status").string("up");
  json.key("startedAt").string(base::to_iso8601(context.started_at));
  json.key("now").string(base::to_iso8601(context.clock.now()));
  json.end_object();
  return json_answer(std::move(body));
}

Answer show_readiness(Context& context, const Call& /*call*/, base::Deadline deadline) {
  // Any answer will do, also that there is no such user.
  const auto asked = context.store.user(domain::UserId("readiness"), deadline);
  const bool has_store = asked || asked.error().kind == base::ErrorKind::kNotFound;
  const bool has_warehouse = context.analytics.health(deadline).has_value();
  const bool runs = !context.parts.pipeline_runs || context.parts.pipeline_runs();
  const bool is_ready = has_store && has_warehouse && runs;
  std::string body;
  base::JsonWriter json(body);
  json.begin_object();
  json.key("status").string(is_ready ? "ready" : "not ready");
  json.key("orderStore").boolean(has_store);
  json.key("warehouse").boolean(has_warehouse);
  if (context.parts.pipeline_runs) json.key("pipeline").boolean(runs);
  json.end_object();
  return json_answer(std::move(body), is_ready ? 200 : 503);
}

Answer show_metrics(Context& context, const Call& call, base::Deadline /*deadline*/) {
  if (!context.parts.metrics)
    return ports::problem_response(503, "measurements are served where the pipeline runs: ask `millrace up`",
                                   call.path);
  ports::HttpResponse response;
  response.content_type = context.parts.metrics_content_type;
  response.body = context.parts.metrics();
  return response;
}

}  // namespace millrace::api
