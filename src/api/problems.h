// Errors as HTTP answers.
#pragma once

#include <string_view>

#include "base/result.h"
#include "ports/http.h"

namespace millrace::api {

/// The one table: what the caller does next → status.
[[nodiscard]] int status_of(base::ErrorKind kind);

/// application/problem+json (RFC 9457). The sentence of an error that is the asker's to mend is told; of ours
/// (503, 500) only that it is ours: the log has the rest. 503 comes with Retry-After.
[[nodiscard]] ports::HttpResponse problem_of(const base::Error& error, std::string_view instance);

/// 503 without an error behind it: a queue of ours is full.
[[nodiscard]] ports::HttpResponse overloaded(std::string_view instance);

}  // namespace millrace::api
