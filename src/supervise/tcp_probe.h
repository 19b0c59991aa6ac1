// Looking at a local port from outside.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/result.h"

namespace millrace::supervise {

/// That nobody listens on the port; waits up to two seconds for a listener to go. `host` is a numeric
/// address. Errors: kConflict (taken: who calls says what to do), kInvalid.
[[nodiscard]] base::Result<void> check_port_free(const std::string& host, std::uint16_t port);

/// Connects, sends `request` (may be empty) and returns what comes first, at most 1,024 bytes. Errors:
/// kUnavailable.
[[nodiscard]] base::Result<std::string> first_answer(const std::string& host, std::uint16_t port,
                                                     std::string_view request, base::Deadline deadline);

}  // namespace millrace::supervise
