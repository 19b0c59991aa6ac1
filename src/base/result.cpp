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

std::string public_message(const Error& error) {
  if (error.vendor_code == 0) return error.message;
  const auto sentence = [&]() -> std::string_view {
    switch (error.kind) {
      case ErrorKind::kInvalid:
        return "a server behind this one does not take the values";
      case ErrorKind::kNotFound:
        return "a server behind this one does not have what was named";
      case ErrorKind::kConflict:
        return "what is stored does not allow it";
      case ErrorKind::kUnavailable:
        return "a server behind this one does not answer as it should";
      case ErrorKind::kRejected:
        return "a server behind this one refuses it for good";
      case ErrorKind::kFatal:
        break;
    }
    return "a server behind this one failed";
  }();
  return std::string(sentence) + " (code " + std::to_string(error.vendor_code) + "); " +
         (error.cure.empty() ? "the log says more" : error.cure);
}

std::unexpected<Error> with_context(std::string_view doing, Error error) {
  error.message.insert(0, std::string(doing) + ": ");
  return std::unexpected(std::move(error));
}

}  // namespace millrace::base
