#include "api/handlers.h"
#include "api/problems.h"
#include "api/requests.h"
#include "api/shapes.h"
#include "base/json.h"

namespace millrace::api {

Answer show_daily_sales(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto range, parse_sales_range(call.request));
  MILLRACE_TRY_ASSIGN(const auto rows, context.analytics.daily_sales(range, deadline));
  return json_answer(daily_sales_json(rows));
}

Answer show_hourly_sales(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto range, parse_sales_range(call.request));
  MILLRACE_TRY_ASSIGN(const auto rows, context.analytics.hourly_sales(range, deadline));
  return json_answer(hourly_sales_json(rows));
}

Answer show_order_status(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto range, parse_sales_range(call.request));
  MILLRACE_TRY_ASSIGN(const auto rows, context.analytics.order_status(range, deadline));
  return json_answer(order_status_json(rows));
}

Answer show_stats(Context& context, const Call& /*call*/, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto stats, context.analytics.stats(deadline));
  return json_answer(stats_json(stats));
}

Answer show_analytics_health(Context& context, const Call& call, base::Deadline deadline) {
  const auto answer = context.analytics.health(deadline);
  if (!answer) log_what_is_not_told(answer.error(), call.request.method, call.path, call.request_id);
  std::string body;
  base::JsonWriter json(body);
  json.begin_object();
  json.key("status").string(answer ? "healthy" : "unhealthy");
  json.key("clickhouse").boolean(answer.has_value());
  json.end_object();
  return json_answer(std::move(body), answer ? 200 : 503);
}

}  // namespace millrace::api
