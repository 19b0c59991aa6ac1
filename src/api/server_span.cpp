#include "api/server_span.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace millrace::api {
namespace {

constexpr std::size_t kPathBytesMax = 200;
// Others are a client's own and may be anything. Source: RFC 9110, section 9.3, and RFC 5789.
constexpr std::array<std::string_view, 9> kMethods = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                                      "CONNECT", "OPTIONS", "TRACE", "PATCH"};

std::string name_of(bool is_known, std::string_view method, std::string_view route) {
  std::string name(is_known ? method : "HTTP");
  if (!route.empty()) (name += ' ') += route;
  return name;
}

}  // namespace

ServerSpan::ServerSpan(const telemetry::Tracer& tracer, const telemetry::TraceContext& client,
                       std::string_view method, std::string_view route, std::string_view path)
    : tracer_(tracer) {
  const bool is_known = std::ranges::find(kMethods, method) != kMethods.end();
  span_ = telemetry::child_of(client, name_of(is_known, method, route), telemetry::SpanKind::kServer);
  span_.start = telemetry::span_now();
  span_.attributes = {{"http.request.method", std::string(is_known ? method : "_OTHER")},
                      {"url.scheme", std::string("http")},
                      {"url.path", base::printable(path, kPathBytesMax)}};
  if (!route.empty()) span_.attributes.emplace_back("http.route", std::string(route));
}

void ServerSpan::end(int status) {
  if (is_ended_.test_and_set()) return;
  span_.end = telemetry::span_now();
  span_.attributes.emplace_back("http.response.status_code", std::int64_t{status});
  // Of a server's span only what is the server's fault is an error.
  if (status >= 500) span_.error_type = std::to_string(status);
  tracer_.record(std::move(span_));
}

}  // namespace millrace::api
