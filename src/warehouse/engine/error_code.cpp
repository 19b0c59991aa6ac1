#include "warehouse/engine/error_code.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::warehouse {
namespace {

constexpr std::string_view kPrefix = "Code: ";
constexpr std::string_view kDbException = ". DB::Exception: ";

constexpr std::array kBadRequestCodes = {6,  8,   15,  25,  26,  27,  36,  37,  38,  41,  44,  53, 62,
                                         72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676};
constexpr std::array kNotFoundCodes = {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511};

std::string_view name_of(int code) {
  switch (code) {
    case kBadArguments:
      return "BAD_ARGUMENTS";
    case kChecksumDoesntMatch:
      return "CHECKSUM_DOESNT_MATCH";
    case kNotImplemented:
      return "NOT_IMPLEMENTED";
    case kSyntaxError:
      return "SYNTAX_ERROR";
    case kUnknownSetting:
      return "UNKNOWN_SETTING";
    case kReadonly:
      return "READONLY";
    case kTooManySimultaneousQueries:
      return "TOO_MANY_SIMULTANEOUS_QUERIES";
    case kSocketTimeout:
      return "SOCKET_TIMEOUT";
    case kQueryIsTooLarge:
      return "QUERY_IS_TOO_LARGE";
    case kCannotDecompress:
      return "CANNOT_DECOMPRESS";
    case kLimitExceeded:
      return "LIMIT_EXCEEDED";
    case kTooManyRequests:
      return "RECEIVED_ERROR_TOO_MANY_REQUESTS";
    case kQueryWasCancelled:
      return "QUERY_WAS_CANCELLED";
    case kAccessDenied:
      return "ACCESS_DENIED";
    case kAuthenticationFailed:
      return "AUTHENTICATION_FAILED";
    case kUnsupportedMediaType:
      return "UNSUPPORTED_MEDIA_TYPE";
    default:
      return "UNKNOWN_EXCEPTION";
  }
}

/// The number of "Code: N. …", or 0.
int leading_code(std::string_view text) {
  if (!text.starts_with(kPrefix)) return 0;
  text.remove_prefix(kPrefix.size());
  const auto end = text.find('.');
  if (end == std::string_view::npos) return 0;
  return base::parse_int<int>(text.substr(0, end)).value_or(0);
}

}  // namespace

int http_status(int code) {
  if (code == 194) return 401;
  if (code == 192 || code == 193 || code == 512 || code == kAuthenticationFailed || code == kAccessDenied)
    return 403;
  if (std::ranges::find(kBadRequestCodes, code) != kBadRequestCodes.end()) return 400;
  if (std::ranges::find(kNotFoundCodes, code) != kNotFoundCodes.end()) return 404;
  if (code == kQueryIsTooLarge) return 413;
  if (code == kNotImplemented) return 501;
  if (code == kSocketTimeout || code == 76 || code == 439 || code == kTooManySimultaneousQueries) return 503;
  if (code == kTooManyRequests) return 429;
  if (code == 381) return 411;
  if (code == 159) return 408;
  if (code == kUnsupportedMediaType) return 415;
  return 500;
}

base::Error engine_error(std::string_view text, std::string_view version) {
  // A failure inside a pipeline comes wrapped: "Code: 73. DB::Exception: Code: 73. DB::Exception: …".
  const int code = leading_code(text);
  while (code != 0) {
    const auto inner = text.find(kDbException);
    if (inner == std::string_view::npos) break;
    const std::string_view rest = text.substr(inner + kDbException.size());
    if (leading_code(rest) != code || rest.find(kDbException) == std::string_view::npos) break;
    text = rest;
  }
  const std::string suffix = fmt::format(" (version {})", version);
  std::string message(base::trim(text));
  if (const auto first = message.find(suffix); first != std::string::npos) message.resize(first);
  if (code == 0)
    message = fmt::format("Code: {}. DB::Exception: {}. (UNKNOWN_EXCEPTION)", kUnknownException, message);
  return {base::ErrorKind::kRejected, message + suffix, code == 0 ? kUnknownException : code};
}

std::string exception_text(const base::Error& error, std::string_view version) {
  if (leading_code(error.message) != 0) return error.message;
  const int code = error.vendor_code == 0 ? kUnknownException : error.vendor_code;
  return fmt::format("Code: {}. DB::Exception: {}. ({}) (version {})", code, error.message, name_of(code),
                     version);
}

}  // namespace millrace::warehouse
