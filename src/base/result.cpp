#include "base/result.h"

namespace millrace::base {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
      return "invalid";
    case ErrorKind::kNotFound:
      return "not found";
    case ErrorKind::kConflict:
      return "conflict";
    case ErrorKind::kUnavailable:
      return "unavailable";
    case ErrorKind::kRejected:
      return "rejected";
    case ErrorKind::kFatal:
      return "fatal";
  }
  return "unknown";
}

std::unexpected<Error> with_context(std::string_view doing, Error error) {
  error.message.insert(0, std::string(doing) + ": ");
  return std::unexpected(std::move(error));
}

}  // namespace millrace::base
