// The spans of events on their way from the outbox to the log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ports/outbox.h"
#include "telemetry/tracer.h"

namespace millrace::relay {

/// The traceparent that an event's JSON holds, found without parsing it: what follows the first key of that
/// name. Empty: there is none. Not checked.
[[nodiscard]] std::string_view traceparent_in(std::string_view payload);

/// Adds the span of the row, from when it was written, if it belongs to a sampled trace. The payload is
/// looked at only while spans are wanted.
void add_span(const telemetry::Tracer& tracer, const ports::OutboxRow& row, const std::string& topic,
              std::vector<telemetry::Span>& spans);

/// The log has acknowledged the events of these spans: now.
void record_acknowledged(const telemetry::Tracer& tracer, std::vector<telemetry::Span> spans);

}  // namespace millrace::relay
