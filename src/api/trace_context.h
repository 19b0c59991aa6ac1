// W3C trace context.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace::api {

/// The traceparent to pass on, as version 00 and 55 characters; empty if there was none or it is malformed,
/// which the standard says to ignore. Of a higher version the part that version 00 knows is kept. Source: W3C
/// Trace Context, section 3.2 (traceparent) and 4.3 (versions).
[[nodiscard]] std::string accepted_traceparent(std::optional<std::string_view> header);

}  // namespace millrace::api
