#include "api/commands.h"
#include "api/handlers.h"
#include "api/requests.h"
#include "api/shapes.h"

namespace millrace::api {
namespace {

constexpr std::uint32_t kOrdersOfUserDefault = 100;
constexpr std::uint32_t kOrdersOfUserMax = 1'000;

}  // namespace

base::Result<void> place_order(Context& context, const CallPointer& call) {
  MILLRACE_TRY_ASSIGN(auto command, parse_place_order(call->request.body, call->traceparent));
  context.orders.submit(std::move(command), answer_with(call, [](const ordering::Outcome& outcome) -> Answer {
                          ports::HttpResponse response = json_answer(order_json(outcome.order), 201);
                          response.headers.emplace_back(
                              "Location", "/api/orders/" + outcome.order.image.order_id.value());
                          return response;
                        }));
  return {};
}

Answer show_order(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(std::string id, parse_segment(call.arguments[0], "an order id", domain::kIdLengthMax));
  MILLRACE_TRY_ASSIGN(const auto order, context.store.order(domain::OrderId(std::move(id)), deadline));
  return json_answer(order_json(order));
}

Answer list_orders_of_user(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(std::string id, parse_segment(call.arguments[0], "a user id", domain::kIdLengthMax));
  MILLRACE_TRY_ASSIGN(const auto limit, parse_limit(call.request, kOrdersOfUserDefault, kOrdersOfUserMax));
  MILLRACE_TRY_ASSIGN(const auto orders,
                      context.store.orders_of_user(domain::UserId(std::move(id)), limit, deadline));
  return json_answer(orders_json(orders));
}

base::Result<void> delete_order(Context& context, const CallPointer& call) {
  MILLRACE_TRY_ASSIGN(std::string id, parse_segment(call->arguments[0], "an order id", domain::kIdLengthMax));
  ordering::DeleteOrder command;
  command.order_id = domain::OrderId(std::move(id));
  command.admin_id = call->admin;
  command.traceparent = call->traceparent;
  context.orders.submit(std::move(command), answer_with(call, [](const ordering::Outcome&) -> Answer {
                          return json_answer("", 204);
                        }));
  return {};
}

}  // namespace millrace::api
