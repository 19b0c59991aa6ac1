// Errors as exit codes: the one table.
#pragma once

#include "base/result.h"

namespace millrace::app {

inline constexpr int kExitOk = 0;
inline constexpr int kExitDifferences = 1;  ///< `verify` found some.
inline constexpr int kExitUsage = 2;

[[nodiscard]] constexpr int exit_code(base::ErrorKind kind) {
  switch (kind) {
    case base::ErrorKind::kInvalid:
      return kExitUsage;
    case base::ErrorKind::kNotFound:
      return 3;
    case base::ErrorKind::kConflict:
      return 4;
    case base::ErrorKind::kUnavailable:
      return 5;
    case base::ErrorKind::kRejected:
      return 6;
    case base::ErrorKind::kFatal:
      return 7;
  }
  return 7;
}

/// Of a process of ours that ended with this code, not 0.
[[nodiscard]] constexpr base::ErrorKind kind_of_exit(int code) {
  for (const auto kind : {base::ErrorKind::kInvalid, base::ErrorKind::kNotFound, base::ErrorKind::kConflict,
                          base::ErrorKind::kUnavailable, base::ErrorKind::kRejected})
    if (exit_code(kind) == code) return kind;
  return base::ErrorKind::kFatal;
}

}  // namespace millrace::app
