#include "api/problems.h"

#include <spdlog/spdlog.h>

#include "base/redaction.h"
#include "base/text.h"

namespace millrace::api {
namespace {

ports::HttpResponse try_again(std::string_view detail, std::string_view instance) {
  ports::HttpResponse response = ports::problem_response(503, detail, instance);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace

int status_of(base::ErrorKind kind) {
  switch (kind) {
    case base::ErrorKind::kInvalid:
      return 400;
    case base::ErrorKind::kNotFound:
      return 404;
    case base::ErrorKind::kConflict:
      return 409;
    case base::ErrorKind::kUnavailable:
      return 503;
    case base::ErrorKind::kRejected:
      return 422;
    case base::ErrorKind::kFatal:
      return 500;
  }
  return 500;
}

ports::HttpResponse problem_of(const base::Error& error, std::string_view instance) {
  switch (error.kind) {
    case base::ErrorKind::kUnavailable:
      return try_again("a part of the system is unavailable or overloaded; try again in a moment", instance);
    case base::ErrorKind::kFatal:
      return ports::problem_response(500, "the server failed to answer this; its log says more", instance);
    default:
      return ports::problem_response(status_of(error.kind), base::public_message(error), instance);
  }
}

void log_what_is_not_told(const base::Error& error, std::string_view method, std::string_view path,
                          std::string_view request_id) {
  const bool ours = error.kind == base::ErrorKind::kFatal;
  if (!ours && error.kind != base::ErrorKind::kUnavailable && error.vendor_code == 0) return;
  // A path may name a user by the e-mail address.
  spdlog::log(ours ? spdlog::level::err : spdlog::level::warn, "{} {}: {} (code {}, request {})",
              base::printable(method, 20), base::without_personal_data(base::printable(path, 200)),
              error.message, error.vendor_code, request_id);
}

ports::HttpResponse overloaded(std::string_view instance) {
  return try_again("too many requests are waiting; try again in a moment", instance);
}

}  // namespace millrace::api
