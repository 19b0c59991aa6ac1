// The routes below /api/kafka: what the event log holds. Shapes: docs/specs/event-log-view.md.
#pragma once

#include <span>
#include <string>

#include "api/router.h"
#include "base/deadline.h"
#include "inspect/log_view.h"
#include "ports/http.h"

namespace millrace::api {

/// True for messages, which hold customers' data, and for what changes the log: an admin must be named.
[[nodiscard]] bool needs_admin(Route route);

/// The answer to one of the routes; `arguments`, `path` and `request_id` are those of the request. Blocks,
/// `deadline` at most.
[[nodiscard]] ports::HttpResponse log_response(Route route, inspect::LogView& log,
                                               const ports::HttpRequest& request,
                                               std::span<const std::string> arguments, std::string_view path,
                                               std::string_view request_id, base::Deadline deadline);

}  // namespace millrace::api
