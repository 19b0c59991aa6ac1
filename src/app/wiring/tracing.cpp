#include "app/wiring/tracing.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "base/uuid.h"

namespace millrace::app {
namespace {

// About 3 MB, and 8 requests.
constexpr std::size_t kSpansMax = 4'096;
// Of a clean stop, for the last spans: a collector that hangs must not use up the time.
constexpr std::chrono::milliseconds kStopTimeout{5'000};

}  // namespace

std::unique_ptr<Tracing> Tracing::start(const Settings& settings, telemetry::Registry& registry,
                                        const std::string& role, Dependencies& dependencies) {
  std::unique_ptr<Tracing> made(new Tracing);
  // Also while there is no endpoint: a counter that appears late hides its first steps.
  const adapters::otlp::Counters counters{.sent = registry.counter("millrace_otlp_spans_sent_total"),
                                          .dropped = registry.counter("millrace_otlp_spans_dropped_total")};
  if (settings.otlp_endpoint.empty()) return made;
  adapters::otlp::Options options;
  options.endpoint = settings.otlp_endpoint;
  // Source: OpenTelemetry Semantic Conventions 1.45.0, resource, "Service".
  options.resource = {{"service.name", std::string("millrace")},
                      {"service.version", std::string(MILLRACE_VERSION)},
                      {"service.instance.id", base::uuid_v7(dependencies.clock.now())},
                      {"millrace.role", role}};
  // A call that is under way when the process is to stop leaves time for the rest.
  options.call_timeout = std::min(options.call_timeout, settings.stop_timeout / 2);
  made->http_ = std::make_unique<adapters::curl::CurlHttpClient>(
      adapters::curl::Options{.connections_max = 1, .ca_file = {}});
  made->recorder_ = std::make_unique<telemetry::SpanRecorder>(kSpansMax, counters.dropped);
  made->exporter_ = std::make_unique<adapters::otlp::SpanExporter>(*made->http_, *made->recorder_,
                                                                   std::move(options), counters);
  dependencies.tracer = telemetry::Tracer(*made->recorder_);
  spdlog::info("spans of sampled traces go to {}", settings.otlp_endpoint);
  return made;
}

void Tracing::stop(base::Deadline deadline) {
  if (exporter_) exporter_->stop(base::Deadline::in(std::min(kStopTimeout, deadline.left())));
}

}  // namespace millrace::app
