// ClickHouse's error codes and how HTTP answers carry them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::warehouse {

// Source: ClickHouse src/Common/ErrorCodes.cpp.
inline constexpr int kBadArguments = 36;
inline constexpr int kTooLargeSizeCompressed = 39;
inline constexpr int kChecksumDoesntMatch = 40;
inline constexpr int kNotImplemented = 48;
inline constexpr int kSyntaxError = 62;
inline constexpr int kUnknownCompressionMethod = 89;
inline constexpr int kUnknownSetting = 115;
inline constexpr int kReadonly = 164;
inline constexpr int kTooManySimultaneousQueries = 202;
inline constexpr int kSocketTimeout = 209;
inline constexpr int kQueryIsTooLarge = 229;
inline constexpr int kCannotDecompress = 271;
inline constexpr int kLimitExceeded = 290;
inline constexpr int kTooManyRequests = 364;
inline constexpr int kQueryWasCancelled = 394;
inline constexpr int kAccessDenied = 497;
inline constexpr int kAuthenticationFailed = 516;
inline constexpr int kUnsupportedMediaType = 779;
inline constexpr int kUnknownException = 1002;

/// The HTTP status that ClickHouse answers a code with; 500 for most.
/// Source: ClickHouse src/Server/HTTP/exceptionCodeToHTTPStatus.cpp. Two of our own, so
/// that load balancers and clients try again: 503 for code 202, 429 for code 364.
[[nodiscard]] int http_status(int code);

/// The engine's error text as an Error: its code is read from the text, repeated wrappings are taken off, and
/// the version stands at the end once. Kinds are not told apart: kRejected.
[[nodiscard]] base::Error engine_error(std::string_view text, std::string_view version);

/// "Code: 62. DB::Exception: message. (SYNTAX_ERROR) (version 26.7.2.1)", for an error of our own; a text
/// that has the form already stays as it is.
[[nodiscard]] std::string exception_text(const base::Error& error, std::string_view version);

}  // namespace millrace::warehouse
