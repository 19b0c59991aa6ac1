#include "api/commands.h"
#include "api/handlers.h"
#include "api/requests.h"
#include "api/shapes.h"

namespace millrace::api {

Answer show_stock(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(std::string id, parse_segment(call.arguments[0], "a product id", domain::kIdLengthMax));
  MILLRACE_TRY_ASSIGN(const auto stock, context.store.stock(domain::ProductId(std::move(id)), deadline));
  return json_answer(stock_json(stock));
}

base::Result<void> set_stock(Context& context, const CallPointer& call) {
  MILLRACE_TRY_ASSIGN(const auto id, parse_segment(call->arguments[0], "a product id", domain::kIdLengthMax));
  MILLRACE_TRY_ASSIGN(auto command, parse_set_stock(id, call->request.body));
  context.orders.submit(std::move(command), answer_with(call, [](const ordering::Outcome& outcome) -> Answer {
                          if (!outcome.stock) return base::fatal("the stock was set, but not reported");
                          return json_answer(stock_json(*outcome.stock));
                        }));
  return {};
}

}  // namespace millrace::api
