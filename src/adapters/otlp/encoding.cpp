#include "adapters/otlp/encoding.h"

#include <algorithm>
#include <variant>

#include "base/json.h"
#include "base/text.h"

namespace millrace::adapters::otlp {
namespace {

// Source: opentelemetry-proto, trace/v1/trace.proto, Status.StatusCode.
constexpr int kStatusCodeError = 2;
// So much of a request's bytes goes to one span, about; so that the text seldom grows.
constexpr std::size_t kSpanBytes = 640;

void write_attribute(base::JsonWriter& json, const telemetry::Attribute& attribute) {
  json.begin_object().key("key").string(attribute.first).key("value").begin_object();
  if (const auto* text = std::get_if<std::string>(&attribute.second))
    json.key("stringValue").string(*text);
  else
    json.key("intValue").string(std::to_string(std::get<std::int64_t>(attribute.second)));
  json.end_object().end_object();
}

std::string nanos(telemetry::SpanTime time) {
  return std::to_string(time.time_since_epoch().count());
}

void write_span(base::JsonWriter& json, const telemetry::Span& span) {
  json.begin_object();
  json.key("traceId").string(span.context.trace_id);
  json.key("spanId").string(span.context.span_id);
  if (!span.parent_span_id.empty()) json.key("parentSpanId").string(span.parent_span_id);
  json.key("name").string(span.name);
  json.key("kind").number(static_cast<int>(span.kind));
  json.key("startTimeUnixNano").string(nanos(span.start));
  // Clocks of two machines may differ by more than the span lasted.
  json.key("endTimeUnixNano").string(nanos(std::max(span.start, span.end)));
  json.key("attributes").begin_array();
  for (const telemetry::Attribute& attribute : span.attributes) write_attribute(json, attribute);
  if (!span.error_type.empty()) write_attribute(json, {"error.type", span.error_type});
  json.end_array();
  if (!span.error_type.empty())
    json.key("status").begin_object().key("code").number(kStatusCodeError).end_object();
  json.end_object();
}

}  // namespace

std::string to_request(std::span<const telemetry::Attribute> resource,
                       std::span<const telemetry::Span> spans) {
  std::string body;
  body.reserve((spans.size() + 1) * kSpanBytes);
  base::JsonWriter json(body);
  json.begin_object().key("resourceSpans").begin_array().begin_object();
  json.key("resource").begin_object().key("attributes").begin_array();
  for (const telemetry::Attribute& attribute : resource) write_attribute(json, attribute);
  json.end_array().end_object();
  json.key("scopeSpans").begin_array().begin_object();
  json.key("scope").begin_object().key("name").string("millrace").end_object();
  json.key("spans").begin_array();
  for (const telemetry::Span& span : spans) write_span(json, span);
  json.end_array().end_object().end_array().end_object().end_array().end_object();
  return body;
}

std::uint64_t rejected_spans(std::string_view response) {
  const auto document = base::parse_json(response);
  if (!document || !document->is_object()) return 0;
  const auto* partial = base::find_member(document->get_object(), "partialSuccess");
  if (partial == nullptr || !partial->is_object()) return 0;
  const auto* rejected = base::find_member(partial->get_object(), "rejectedSpans");
  if (rejected == nullptr) return 0;
  // 64-bit integers may come as numbers or as strings. Source: ProtoJSON, "int64, fixed64, uint64".
  if (rejected->is_string()) return base::parse_int<std::uint64_t>(rejected->get_string()).value_or(0);
  if (rejected->is_int64())
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, rejected->get_int64()));
  return rejected->is_uint64() ? rejected->get_uint64() : 0;
}

}  // namespace millrace::adapters::otlp
