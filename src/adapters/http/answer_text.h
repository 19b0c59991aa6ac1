// The text of an answer's head.
#pragma once

#include <string>
#include <string_view>

#include "ports/http.h"

namespace millrace::adapters::http {

/// With the headers that every answer carries, up to the empty line. HTTP/1.0 clients keep a connection only
/// when told so, 1.1 clients unless told otherwise. Headers that hold a line break are left out.
[[nodiscard]] std::string head_text(const ports::HttpResponse& response, bool keep_alive, bool is_http10);

/// 503 with Retry-After.
[[nodiscard]] ports::HttpResponse unavailable_response(std::string_view detail);

}  // namespace millrace::adapters::http
