#include "transform/record_spans.h"

#include <iterator>
#include <utility>

namespace millrace::transform {

void add_span(const telemetry::Tracer& tracer, const domain::AnalyticsRow& row,
              const ports::TopicPartition& input, std::int64_t offset, std::vector<telemetry::Span>& spans) {
  const auto parent = tracer.sampled(row.traceparent);
  if (!parent) return;
  telemetry::Span span = telemetry::child_of(*parent, "transform", telemetry::SpanKind::kConsumer);
  span.attributes = {{"millrace.event.id", static_cast<std::int64_t>(row.event_id.value())},
                     {"millrace.order.id", row.order_id.value()},
                     {"messaging.destination.name", input.topic},
                     {"messaging.destination.partition.id", std::to_string(input.partition)},
                     {"messaging.kafka.offset", offset}};
  spans.push_back(std::move(span));
}

void RoundSpans::add(std::vector<telemetry::Span> spans) {
  spans_.insert(spans_.end(), std::move_iterator(spans.begin()), std::move_iterator(spans.end()));
}

void RoundSpans::end() {
  if (spans_.empty()) return;
  const telemetry::SpanTime now = telemetry::span_now();
  for (telemetry::Span& span : spans_) {
    span.start = start_;
    span.end = now;
    tracer_.record(std::move(span));
  }
  spans_.clear();
}

}  // namespace millrace::transform
