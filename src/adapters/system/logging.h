// Where log lines go.
#pragma once

#include <string>

#include "base/result.h"

namespace millrace::adapters::system {

struct LogOptions {
  std::string level = "info";  ///< trace, debug, info, warn, error.
  std::string file;  ///< Empty: standard error. A file is cut over at 10 MiB, three old ones are kept.
};

/// Sets up spdlog's default logger, which every room uses. Errors: kInvalid (level), kUnavailable (file).
[[nodiscard]] base::Result<void> set_up_logging(const LogOptions& options);

}  // namespace millrace::adapters::system
