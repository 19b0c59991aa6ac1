// The head of an HTTP/1 request, read strictly: what two programs could understand differently is refused
// (RFC 9112, sections 2.2, 5, 6 and 11).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace millrace::web {

struct HeadLimits {
  std::size_t head_bytes_max = 16 * 1024;    ///< Request line and headers. More: 414 or 431.
  std::size_t header_bytes_max = 16 * 1024;  ///< One header, name and value. More: 431.
  std::size_t headers_max = 100;             ///< More: 431.
};

struct RequestHead {
  std::string method;     ///< One of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS.
  std::string target;     ///< Origin form, or "*"; the scheme and host of an absolute form are taken off.
  int minor_version = 1;  ///< HTTP/1.0 or HTTP/1.1.
  std::vector<std::pair<std::string, std::string>> headers;  ///< Names in lower case, values trimmed.
  bool keep_alive = true;                                    ///< As the client wishes.
  bool is_chunked = false;
  std::uint64_t content_length = 0;  ///< 0 if there is none, or the body is chunked.

  [[nodiscard]] bool has_body() const { return is_chunked || content_length > 0; }
  /// The first of that lower-case name, or nullptr.
  [[nodiscard]] const std::string* header(std::string_view name) const;
};

/// Finds the end of a head in bytes that are still arriving. One head each.
class HeadScanner {
 public:
  explicit HeadScanner(const HeadLimits& limits) : limits_(limits) {}

  struct Span {
    std::size_t begin = 0;  ///< Behind an empty line that may stand before the request.
    std::size_t end = 0;    ///< Behind the empty line that ends the head.
  };
  /// `received` is all that came so far, from the same first byte in every call. Nothing: read more.
  /// Errors: kInvalid, the vendor code is the HTTP status (400, 414, 431); the connection is of no more use.
  [[nodiscard]] base::Result<std::optional<Span>> scan(std::string_view received);

 private:
  HeadLimits limits_;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;
  std::size_t line_begin_ = 0;
};

/// `head` is a span that the scanner found. Errors: kInvalid, the vendor code is the HTTP status (400, 431,
/// 501, 505); the connection is of no more use, because nobody knows where the next request begins.
[[nodiscard]] base::Result<RequestHead> parse_head(std::string_view head, const HeadLimits& limits);

/// True for the characters of method and header names (RFC 9110, section 5.6.2), and at least one of them.
[[nodiscard]] bool is_token(std::string_view text);

/// True if the comma-separated list of the header holds `token`, which is in lower case.
[[nodiscard]] bool list_holds(const std::string* header, std::string_view token);

}  // namespace millrace::web
