// Results and errors. Every fallible function of ours returns a Result; exceptions are for start-up and for
// vendor libraries, and are caught at the adapter's edge.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace millrace::base {

/// What the caller does next, not what went wrong.
enum class ErrorKind {
  kInvalid,      ///< The input is at fault: refuse it, tell the sender what to change.
  kNotFound,     ///< What was named is not there.
  kConflict,     ///< The state does not allow it (not enough stock, a taken name, a lost lock).
  kUnavailable,  ///< A dependency is unavailable or too slow: try again later with a back-off.
  kRejected,     ///< This one item can never succeed: park it, or send it to the dead letters.
  kFatal,        ///< Going on would break a promise: stop and say why.
};

[[nodiscard]] std::string_view to_string(ErrorKind kind);

/// A kind, one sentence for a person that says what to do, and the vendor's own code (0: none).
struct Error {
  ErrorKind kind = ErrorKind::kFatal;
  std::string message;
  int vendor_code = 0;
  /// Where a server or a library had its say: what to do about it, in words of ours alone, without names and
  /// values; `message` says it too. Empty: nothing is known that helps.
  std::string cure = {};
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string message, int vendor_code = 0) {
  return std::unexpected(Error{kind, std::move(message), vendor_code});
}
[[nodiscard]] inline std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorKind::kInvalid, std::move(message));
}
[[nodiscard]] inline std::unexpected<Error> not_found(std::string message) {
  return fail(ErrorKind::kNotFound, std::move(message));
}
[[nodiscard]] inline std::unexpected<Error> conflict(std::string message) {
  return fail(ErrorKind::kConflict, std::move(message));
}
[[nodiscard]] inline std::unexpected<Error> unavailable(std::string message, int vendor_code = 0) {
  return fail(ErrorKind::kUnavailable, std::move(message), vendor_code);
}
[[nodiscard]] inline std::unexpected<Error> rejected(std::string message, int vendor_code = 0) {
  return fail(ErrorKind::kRejected, std::move(message), vendor_code);
}
[[nodiscard]] inline std::unexpected<Error> fatal(std::string message, int vendor_code = 0) {
  return fail(ErrorKind::kFatal, std::move(message), vendor_code);
}

/// What a client may be told. The message, if it is a sentence of ours; where a server or a library had its
/// say (vendor_code is not 0) the message may hold SQL, values, users, hosts and paths, and this is a
/// sentence of ours about the kind, with the code and the cure: the log has the rest.
[[nodiscard]] std::string public_message(const Error& error);

/// The same error with what was being done put in front: "create topic order.events: broker away".
[[nodiscard]] std::unexpected<Error> with_context(std::string_view doing, Error error);

}  // namespace millrace::base

#define MILLRACE_CONCAT_INNER(a, b) a##b
#define MILLRACE_CONCAT(a, b) MILLRACE_CONCAT_INNER(a, b)

/// Returns the error of a Result<void> to the caller. Stands alone on its line.
#define MILLRACE_TRY(expression)                                  \
  do {                                                            \
    if (auto millrace_result = (expression); !millrace_result)    \
      return std::unexpected(std::move(millrace_result).error()); \
  } while (false)

/// MILLRACE_TRY_ASSIGN(auto rows, read()): declares `rows`, or returns the error. Stands alone on its line.
#define MILLRACE_TRY_ASSIGN(declaration, expression)                                        \
  auto MILLRACE_CONCAT(millrace_result_, __LINE__) = (expression);                          \
  if (!MILLRACE_CONCAT(millrace_result_, __LINE__))                                         \
    return std::unexpected(std::move(MILLRACE_CONCAT(millrace_result_, __LINE__)).error()); \
  declaration = std::move(*MILLRACE_CONCAT(millrace_result_, __LINE__))
