// The span of a request, as OpenTelemetry's conventions for HTTP servers have it.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "telemetry/tracer.h"

namespace millrace::api {

/// Starts when it is made. Source of its name and attributes: OpenTelemetry Semantic Conventions 1.45.0, HTTP
/// spans, "HTTP server span".
class ServerSpan {
 public:
  /// `route` is the pattern, empty if there is none; `path` that of the request, with its escapes.
  ServerSpan(const telemetry::Tracer& tracer, const telemetry::TraceContext& client, std::string_view method,
             std::string_view route, std::string_view path);

  /// For what the request causes: its spans are children of this one. Before `end`.
  [[nodiscard]] std::string traceparent() const { return telemetry::to_traceparent(span_.context); }

  /// The request is answered with this status; of several calls the first counts. Any thread.
  void end(int status);

 private:
  const telemetry::Tracer tracer_;
  telemetry::Span span_;  // gone after `end`
  std::atomic_flag is_ended_;
};

}  // namespace millrace::api
