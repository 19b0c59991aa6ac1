// What a tracer was given, for tests of what records spans.
#pragma once

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "telemetry/tracer.h"

namespace millrace::support {

/// A client's span, sampled.
inline constexpr std::string_view kTraceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// The same, not sampled.
inline constexpr std::string_view kUnsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// One thread takes; any records.
class RecordedSpans {
 public:
  [[nodiscard]] telemetry::Tracer tracer() { return telemetry::Tracer(recorder_); }
  /// Those that came since the last call.
  [[nodiscard]] std::vector<telemetry::Span> take() {
    return recorder_.take(kSpansMax, base::Deadline::in(std::chrono::milliseconds(0)));
  }

 private:
  static constexpr std::size_t kSpansMax = 100;
  telemetry::SpanRecorder recorder_{kSpansMax, {}};
};

/// As text; "-" if the span has none of that name.
inline std::string attribute(const telemetry::Span& span, std::string_view name) {
  for (const auto& [key, value] : span.attributes) {
    if (key != name) continue;
    if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
    return std::get<std::string>(value);
  }
  return "-";
}

/// Below the span of kTraceparent.
inline bool is_child_of_client(const telemetry::Span& span) {
  return span.context.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736" &&
         span.parent_span_id == "00f067aa0ba902b7";
}

}  // namespace millrace::support
