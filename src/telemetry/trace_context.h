// W3C trace context: https://www.w3.org/TR/trace-context/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace::telemetry {

/// The traceparent to pass on, as version 00 and 55 characters; empty if there was none or it is malformed,
/// which the standard says to ignore. Of a higher version the part that version 00 knows is kept. Source: W3C
/// Trace Context, section 3.2 (traceparent) and 4.3 (versions).
[[nodiscard]] std::string accepted_traceparent(std::optional<std::string_view> header);

/// A span of a trace, as others refer to it. Lower-case hexadecimal digits, neither of them all zeros.
struct TraceContext {
  std::string trace_id;  ///< 32 digits.
  std::string span_id;   ///< 16 digits.
  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

/// What a traceparent that accepted_traceparent takes says, if its sampled flag (01) is set: only then does
/// the caller record spans, and want ours. Source: W3C Trace Context, section 3.2.2.5.1.
[[nodiscard]] std::optional<TraceContext> sampled_context(std::string_view traceparent);

/// Of the context, sampled.
[[nodiscard]] std::string to_traceparent(const TraceContext& context);

/// Of a span that is to be, at random.
[[nodiscard]] std::string new_span_id();

}  // namespace millrace::telemetry
