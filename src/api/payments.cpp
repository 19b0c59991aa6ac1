#include "api/commands.h"
#include "api/handlers.h"
#include "api/requests.h"
#include "api/shapes.h"

namespace millrace::api {

base::Result<void> pay(Context& context, const CallPointer& call) {
  MILLRACE_TRY_ASSIGN(auto command, parse_payment(call->request.body, call->traceparent));
  context.orders.submit(std::move(command), answer_with(call, [](const ordering::Outcome& outcome) -> Answer {
                          return json_answer(payment_json(outcome.order), outcome.changed ? 201 : 200);
                        }));
  return {};
}

Answer list_payments(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(std::string id, parse_segment(call.arguments[0], "an order id", domain::kIdLengthMax));
  MILLRACE_TRY_ASSIGN(const auto order, context.store.order(domain::OrderId(std::move(id)), deadline));
  return json_answer(payments_json(order));
}

}  // namespace millrace::api
