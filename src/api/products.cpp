#include "api/handlers.h"
#include "api/requests.h"
#include "api/shapes.h"

namespace millrace::api {

Answer list_products(Context& context, const Call& /*call*/, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto products, context.store.all_products(deadline));
  return json_answer(products_json(products));
}

Answer show_product(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(std::string id, parse_segment(call.arguments[0], "a product id", domain::kIdLengthMax));
  MILLRACE_TRY_ASSIGN(const auto product, context.store.product(domain::ProductId(std::move(id)), deadline));
  return json_answer(product_json(product));
}

Answer list_products_in_category(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto category, parse_segment(call.arguments[0], "a category", kCategoryBytesMax));
  MILLRACE_TRY_ASSIGN(const auto products, context.store.products_in_category(category, deadline));
  return json_answer(products_json(products));
}

}  // namespace millrace::api
