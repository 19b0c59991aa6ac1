#include "api/handlers.h"
#include "api/requests.h"
#include "api/shapes.h"

namespace millrace::api {
namespace {

constexpr std::uint32_t kUsersDefault = 1'000;
constexpr std::uint32_t kUsersMax = 10'000;

}  // namespace

Answer list_users(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto limit, parse_limit(call.request, kUsersDefault, kUsersMax));
  MILLRACE_TRY_ASSIGN(const auto users, context.store.all_users(limit, deadline));
  return json_answer(users_json(users));
}

Answer show_user(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(std::string id, parse_segment(call.arguments[0], "a user id", domain::kIdLengthMax));
  MILLRACE_TRY_ASSIGN(const auto user, context.store.user(domain::UserId(std::move(id)), deadline));
  return json_answer(user_json(user));
}

Answer show_user_by_email(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto email,
                      parse_segment(call.arguments[0], "an e-mail address", kEmailBytesMax));
  MILLRACE_TRY_ASSIGN(const auto user, context.store.user_by_email(email, deadline));
  return json_answer(user_json(user));
}

}  // namespace millrace::api
