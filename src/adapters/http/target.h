// The request target: "/api/orders/a%20b?limit=5" as decoded segments and parameters.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace millrace::adapters::http {

struct Target {
  std::vector<std::string> path;  ///< Without the empty segment of a slash at the end.
  std::vector<std::pair<std::string, std::string>> query;  ///< In the order of the target; '+' means a blank.
};

/// Takes the origin form, the absolute form ("http://host/path") and "*" (an empty path). An encoded slash
/// (%2F) stays inside its segment. Errors: kInvalid (half an escape, control characters, not UTF-8 after
/// decoding).
[[nodiscard]] base::Result<Target> parse_target(std::string_view target);

}  // namespace millrace::adapters::http
