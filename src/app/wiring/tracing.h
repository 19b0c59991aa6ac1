// The export of spans, where otlp.endpoint asks for it.
#pragma once

#include <memory>
#include <string>

#include "adapters/curl/curl_http_client.h"
#include "adapters/otlp/span_exporter.h"
#include "app/config/settings.h"
#include "app/wiring/dependencies.h"
#include "base/deadline.h"
#include "telemetry/registry.h"
#include "telemetry/tracer.h"

namespace millrace::app {

/// Declared after the registry and before what makes spans, so that it outlives that. One caller.
class Tracing {
 public:
  /// Gives `dependencies` the tracer for the stages that are made after this; a null one without an endpoint.
  /// `role` ("up", "sink" …) and a random instance id go with the spans. `registry` must outlive it.
  [[nodiscard]] static std::unique_ptr<Tracing> start(const Settings& settings, telemetry::Registry& registry,
                                                      const std::string& role, Dependencies& dependencies);

  /// Sends what is left, for 5 s at most and until the deadline. After the stages; call once.
  void stop(base::Deadline deadline);

 private:
  Tracing() = default;
  std::unique_ptr<adapters::curl::CurlHttpClient> http_;
  std::unique_ptr<telemetry::SpanRecorder> recorder_;
  std::unique_ptr<adapters::otlp::SpanExporter> exporter_;  // destroyed first
};

}  // namespace millrace::app
