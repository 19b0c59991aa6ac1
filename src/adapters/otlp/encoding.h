// The bodies of OTLP/HTTP in JSON. Source: OTLP Specification 1.9.0, "JSON Protobuf Encoding", and
// opentelemetry-proto, trace/v1/trace.proto and collector/trace/v1/trace_service.proto.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/tracer.h"

namespace millrace::adapters::otlp {

/// An ExportTraceServiceRequest: the spans of one resource, which `resource` describes (service.name and so
/// on). Ids are lower-case hexadecimal digits, times decimal strings of nanoseconds since 1970.
[[nodiscard]] std::string to_request(std::span<const telemetry::Attribute> resource,
                                     std::span<const telemetry::Span> spans);

/// How many spans of a request an ExportTraceServiceResponse says were rejected; 0 for a body that says
/// nothing about it.
[[nodiscard]] std::uint64_t rejected_spans(std::string_view response);

}  // namespace millrace::adapters::otlp
