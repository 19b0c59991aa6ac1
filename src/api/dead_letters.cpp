#include "api/handlers.h"
#include "api/letter_shapes.h"
#include "api/requests.h"
#include "base/text.h"

namespace millrace::api {
namespace {

constexpr std::uint32_t kLettersOtherwise = 100;
constexpr std::uint32_t kLettersMost = 1'000;

ports::HttpResponse not_here(const Call& call) {
  return ports::problem_response(503,
                                 "the embedded event log can be read in the process of `millrace up` alone: "
                                 "ask that one for dead letters",
                                 call.path);
}

base::Result<letters::LetterId> letter_id(const Call& call) {
  return letters::parse_letter_id(call.arguments[0], call.arguments[1], call.arguments[2]);
}

}  // namespace

Answer list_letters(Context& context, const Call& call, base::Deadline deadline) {
  if (context.parts.letters == nullptr) return not_here(call);
  MILLRACE_TRY_ASSIGN(const auto limit, parse_limit(call.request, kLettersOtherwise, kLettersMost));
  MILLRACE_TRY_ASSIGN(const bool handled_too, parse_flag(call.request, "all"));
  MILLRACE_TRY_ASSIGN(
      const auto list,
      context.parts.letters->list({.topic = std::string(call.request.parameter("topic").value_or("")),
                                   .after = std::string(call.request.parameter("after").value_or("")),
                                   .count_max = limit,
                                   .handled_too = handled_too},
                                  deadline));
  return json_answer(letters_json(list));
}

Answer show_letter(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto id, letter_id(call));
  if (context.parts.letters == nullptr) return not_here(call);
  MILLRACE_TRY_ASSIGN(const auto letter, context.parts.letters->find(id, deadline));
  return json_answer(letter_json(letter));
}

Answer replay_letter(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto id, letter_id(call));
  if (context.parts.letters == nullptr) return not_here(call);
  std::optional<std::string> corrected;
  if (!base::trim(call.request.body).empty()) corrected = call.request.body;
  MILLRACE_TRY_ASSIGN(const auto handled, context.parts.letters->replay(id, corrected, call.admin, deadline));
  return json_answer(handled_json(handled));
}

Answer drop_letter(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto id, letter_id(call));
  if (context.parts.letters == nullptr) return not_here(call);
  const std::string reason(call.request.parameter("reason").value_or(""));
  MILLRACE_TRY_ASSIGN(const auto handled, context.parts.letters->drop(id, reason, call.admin, deadline));
  return json_answer(handled_json(handled));
}

}  // namespace millrace::api
