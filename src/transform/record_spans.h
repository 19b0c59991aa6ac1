// The spans of records on their way through the transformer.
#pragma once

#include <cstdint>
#include <vector>

#include "domain/analytics_row.h"
#include "ports/event_log.h"
#include "telemetry/tracer.h"

namespace millrace::transform {

/// Adds the span of the row that was made of the record at `offset`, if it belongs to a sampled trace.
void add_span(const telemetry::Tracer& tracer, const domain::AnalyticsRow& row,
              const ports::TopicPartition& input, std::int64_t offset, std::vector<telemetry::Span>& spans);

/// Those of the records that were read together. One thread.
class RoundSpans {
 public:
  /// They were read now.
  explicit RoundSpans(const telemetry::Tracer& tracer) : tracer_(tracer) {
    if (tracer_.is_on()) start_ = telemetry::span_now();
  }
  void add(std::vector<telemetry::Span> spans);
  /// Their rows are in the log: records them. Those of a round that fails are never recorded.
  void end();

 private:
  const telemetry::Tracer tracer_;
  telemetry::SpanTime start_{};
  std::vector<telemetry::Span> spans_;
};

}  // namespace millrace::transform
