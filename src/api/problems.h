// Errors as HTTP answers.
#pragma once

#include <string_view>

#include "base/result.h"
#include "ports/http.h"

namespace millrace::api {

/// The one table: what the caller does next → status.
[[nodiscard]] int status_of(base::ErrorKind kind);

/// application/problem+json (RFC 9457). The sentence of an error that is the asker's to mend is told, if it
/// is a sentence of ours (base::public_message); of faults of ours (503, 500) only that they are ours: the
/// log has the rest. 503 comes with Retry-After.
[[nodiscard]] ports::HttpResponse problem_of(const base::Error& error, std::string_view instance);

/// One line in the log where the answer tells less than the error: faults of ours, and whatever a server
/// behind us said. With the request's id, which the answer has, too.
void log_what_is_not_told(const base::Error& error, std::string_view method, std::string_view path,
                          std::string_view request_id);

/// 503 without an error behind it: a queue of ours is full.
[[nodiscard]] ports::HttpResponse overloaded(std::string_view instance);

}  // namespace millrace::api
