#include "app/local_admin.h"

#include <future>
#include <utility>

#include <spdlog/spdlog.h>

#include "adapters/http/target.h"
#include "analytics/analytics.h"
#include "api/api.h"
#include "app/credentials.h"
#include "app/event_log.h"
#include "app/neighbours.h"
#include "app/operations.h"
#include "ordering/order_service.h"

namespace millrace::app {

/// In the order in which they are made; what is last goes first.
class LocalAdmin::Parts {
 public:
  Settings settings;
  std::unique_ptr<Neighbours> neighbours;
  InspectedLog log;
  std::unique_ptr<Operations> operations;
  std::unique_ptr<analytics::Analytics> analytics;
  std::unique_ptr<ordering::OrderService> orders;
  std::unique_ptr<api::Api> api;
};

LocalAdmin::LocalAdmin(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LocalAdmin::~LocalAdmin() = default;

base::Result<std::unique_ptr<LocalAdmin>> LocalAdmin::start(const Settings& settings) {
  if (settings.event_log_kind == "embedded")
    return base::invalid("the embedded event log can be read in the process of `millrace up` alone");
  auto parts = std::make_unique<Parts>();
  parts->settings = settings;
  MILLRACE_TRY(use_credentials(parts->settings));
  MILLRACE_TRY_ASSIGN(parts->neighbours, make_neighbours(parts->settings));
  MILLRACE_TRY_ASSIGN(parts->log, open_inspected_log(parts->settings));
  MILLRACE_TRY_ASSIGN(
      parts->operations,
      Operations::start(parts->settings, *parts->neighbours, *parts->log.log, *parts->log.inspector,
                        {.verifies = false, .on_refusal = [](const base::Error& error) {
                           spdlog::error("jobs cannot be executed here: {}", error.message);
                         }}));
  parts->analytics = std::make_unique<analytics::Analytics>(*parts->neighbours->warehouse);
  parts->orders = std::make_unique<ordering::OrderService>(
      *parts->neighbours->store, parts->neighbours->clock, ordering_options(parts->settings), [] {});
  parts->api =
      std::make_unique<api::Api>(*parts->orders, *parts->neighbours->store, *parts->analytics,
                                 parts->neighbours->clock, api::Options{}, parts->operations->parts());
  return std::unique_ptr<LocalAdmin>(new LocalAdmin(std::move(parts)));
}

base::Result<ports::HttpResponse> LocalAdmin::send(std::string_view method, std::string_view target,
                                                   const std::string& admin_id, std::string_view body,
                                                   base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto parsed, adapters::http::parse_target(target));
  ports::HttpRequest request{.method = std::string(method),
                             .path = std::move(parsed.path),
                             .query = std::move(parsed.query),
                             .headers = {{"x-admin-id", admin_id}, {"content-type", "application/json"}},
                             .body = std::string(body)};
  // Shared: an answer may come after the deadline.
  const auto promise = std::make_shared<std::promise<ports::HttpResponse>>();
  auto answer = promise->get_future();
  parts_->api->handle(std::move(request),
                      [promise](ports::HttpResponse response) { promise->set_value(std::move(response)); });
  if (answer.wait_until(deadline.moment()) != std::future_status::ready)
    return base::unavailable("the order store, the warehouse or the event log does not answer in time");
  return answer.get();
}

}  // namespace millrace::app
