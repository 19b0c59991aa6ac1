#include "sink/row_spans.h"

#include <cstdint>
#include <utility>

namespace millrace::sink {

void record_visible(const telemetry::Tracer& tracer, const domain::AnalyticsRow& row, base::UtcTime visible) {
  const auto parent = tracer.sampled(row.traceparent);
  if (!parent) return;
  telemetry::Span span = telemetry::child_of(*parent, "sink", telemetry::SpanKind::kConsumer);
  span.start = row.transformed_at;
  span.end = visible;
  span.attributes = {{"millrace.event.id", static_cast<std::int64_t>(row.event_id.value())},
                     {"millrace.order.id", row.order_id.value()}};
  tracer.record(std::move(span));
}

}  // namespace millrace::sink
