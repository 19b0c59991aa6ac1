#include "api/call.h"

#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "api/problems.h"
#include "base/exceptions.h"
#include "base/url.h"

namespace millrace::api {

void Call::answer(ports::HttpResponse response) const {
  response.route = route;
  if (span) span->end(response.status);
  ports::name_request(response, request_id);
  reply(std::move(response));
}

void Call::answer_json(std::string body, int status) const {
  answer(json_answer(std::move(body), status));
}

void Call::fail(const base::Error& error) const {
  log_what_is_not_told(error, request.method, path, request_id);
  answer(problem_of(error, path));
}

void answer_whatever_happens(const Call& call, const std::function<void()>& work) {
  const auto thrown = base::exception_of(work);
  if (!thrown) return;
  const auto again = base::exception_of(
      [&] { call.fail({base::ErrorKind::kFatal, fmt::format("an exception: {}", *thrown), 0}); });
  // The server answers such a request itself when its time is up.
  if (again) spdlog::error("a request is left without an answer: {}", *again);
}

ports::HttpResponse json_answer(std::string body, int status) {
  ports::HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

std::string path_text(std::span<const std::string> path) {
  std::string text;
  for (const std::string& segment : path) (text += '/') += base::percent_encoded(segment, "@");
  return text.empty() ? "/" : text;
}

}  // namespace millrace::api
