#include "relay/event_spans.h"

#include <cstdint>
#include <utility>

namespace millrace::relay {
namespace {

constexpr std::size_t kTraceparentLength = 55;  // of version 00, which is the one that events carry

/// Takes the blanks and then `expected` away; false if something else stands there.
bool skip(std::string_view& text, char expected) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string_view traceparent_in(std::string_view payload) {
  // Within a string of the document a quote has a backslash before it, so this is a key, or a value that no
  // colon follows. MySQL gives JSON back with blanks after colons, MariaDB as it was written.
  constexpr std::string_view kKey = "\"traceparent\"";
  for (std::size_t at = payload.find(kKey); at != std::string_view::npos; at = payload.find(kKey, at + 1)) {
    std::string_view rest = payload.substr(at + kKey.size());
    if (skip(rest, ':') && skip(rest, '"'))
      return rest.substr(0, std::min(rest.find('"'), kTraceparentLength));
  }
  return {};
}

void add_span(const telemetry::Tracer& tracer, const ports::OutboxRow& row, const std::string& topic,
              std::vector<telemetry::Span>& spans) {
  if (!tracer.is_on()) return;
  const auto parent = tracer.sampled(traceparent_in(row.payload));
  if (!parent) return;
  telemetry::Span span = telemetry::child_of(*parent, "relay", telemetry::SpanKind::kProducer);
  span.start = row.created_at;
  span.attributes = {{"millrace.event.id", static_cast<std::int64_t>(row.id)},
                     {"millrace.order.id", row.aggregate_id},
                     {"messaging.destination.name", topic}};
  spans.push_back(std::move(span));
}

void record_acknowledged(const telemetry::Tracer& tracer, std::vector<telemetry::Span> spans) {
  if (spans.empty()) return;
  const telemetry::SpanTime now = telemetry::span_now();
  for (telemetry::Span& span : spans) {
    span.end = now;
    tracer.record(std::move(span));
  }
}

}  // namespace millrace::relay
