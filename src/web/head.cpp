#include "web/head.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"
#include "web/host.h"

namespace millrace::web {
namespace {

constexpr std::array<std::string_view, 7> kMethods = {"GET",   "HEAD",   "POST",   "PUT",
                                                      "PATCH", "DELETE", "OPTIONS"};
// Whoever reads the first and whoever reads the last of two would see different requests.
constexpr std::array<std::string_view, 14> kSingleHeaders = {
    "host",          "content-length", "transfer-encoding", "content-type",    "content-encoding",
    "origin",        "referer",        "sec-fetch-site",    "sec-fetch-mode",  "sec-fetch-dest",
    "authorization", "expect",         "x-clickhouse-user", "x-clickhouse-key"};
// Codings that exist and are not read here; any other is a mistake or an attack.
constexpr std::array<std::string_view, 6> kOtherCodings = {"gzip",     "x-gzip",     "deflate",
                                                           "compress", "x-compress", "identity"};

std::unexpected<base::Error> refuse(int status, std::string message) {
  return base::fail(base::ErrorKind::kInvalid, std::move(message), status);
}

bool is_token_character(char c) {
  static constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kSigns.find(c) != std::string_view::npos;
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Of the request line; what is left of an absolute form's host, if there is one, goes to `authority`.
base::Result<void> read_target(RequestHead& head, std::string_view target, std::string_view& authority) {
  if (std::ranges::any_of(target, [](char c) { return is_control(c) || c == ' '; }))
    return refuse(400, "the request's address holds a control character");
  if (target.find('#') != std::string_view::npos)
    return refuse(400, "the address must not hold a '#'; write '%23' for the character");
  if (target == "*" && head.method == "OPTIONS") {
    head.target = target;
    return {};
  }
  if (base::to_lower(target.substr(0, 7)) == "http://") {
    const std::size_t end = std::min(target.find_first_of("/?", 7), target.size());
    authority = target.substr(7, end - 7);
    if (authority.empty()) return refuse(400, "the request's address names no host");
    head.target = end < target.size() && target[end] == '/' ? "" : "/";
    head.target += target.substr(end);
    return {};
  }
  if (!target.starts_with('/')) return refuse(400, "the address must begin with '/'");
  head.target = target;
  return {};
}

base::Result<void> read_request_line(RequestHead& head, std::string_view line, std::string_view& authority) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || !is_token(line.substr(0, first)))
    return refuse(
        400, "this is not an HTTP/1.1 request: its first line must be a method, an address and a version");
  const std::string_view version = line.substr(last + 1);
  const bool is_version = version.size() == 8 && version.starts_with("HTTP/") && version[5] >= '0' &&
                          version[5] <= '9' && version[6] == '.' && version[7] >= '0' && version[7] <= '9';
  if (!is_version)
    return refuse(400, "this is not an HTTP/1.1 request: its first line must end with HTTP/1.1");
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return refuse(505, "this server speaks HTTP/1.1 and HTTP/1.0");
  head.minor_version = version[7] - '0';
  head.method = line.substr(0, first);
  if (std::ranges::find(kMethods, head.method) == kMethods.end())
    return refuse(501, fmt::format("the method '{}' is not supported", base::printable(head.method, 20)));
  return read_target(head, line.substr(first + 1, last - first - 1), authority);
}

base::Result<void> read_header(RequestHead& head, std::string_view line, const HeadLimits& limits) {
  if (line.front() == ' ' || line.front() == '\t')
    return refuse(400, "a header that continues in a second line is not supported; write it in one");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return refuse(400, "a header must be a name without blanks, a colon and a value");
  if (line.size() > limits.header_bytes_max)
    return refuse(431, fmt::format("a header is larger than {} bytes", limits.header_bytes_max));
  if (head.headers.size() >= limits.headers_max)
    return refuse(431, fmt::format("the request has more than {} headers", limits.headers_max));
  const std::string_view value = base::trim(line.substr(colon + 1));
  if (std::ranges::any_of(value, [](char c) { return is_control(c) && c != '\t'; }))
    return refuse(400, "a header holds a control character");
  std::string name = base::to_lower(line.substr(0, colon));
  if (std::ranges::find(kSingleHeaders, name) != kSingleHeaders.end() && head.header(name) != nullptr)
    return refuse(400, fmt::format("the header {} stands there twice", name));
  head.headers.emplace_back(std::move(name), value);
  return {};
}

/// Where the body ends: one rule for everybody on the way, or none (RFC 9112, section 6.3).
base::Result<void> read_framing(RequestHead& head) {
  const std::string* length = head.header("content-length");
  const std::string* coding = head.header("transfer-encoding");
  if (coding != nullptr) {
    const std::string lower = base::to_lower(*coding);
    if (head.minor_version < 1) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
    if (length != nullptr)
      return refuse(400, "a request has either Transfer-Encoding or Content-Length, not both");
    if (std::ranges::find(kOtherCodings, lower) != kOtherCodings.end())
      return refuse(501, "of the transfer encodings only 'chunked' is supported");
    if (lower != "chunked") return refuse(400, "of the transfer encodings only 'chunked' is supported");
    head.is_chunked = true;
  }
  if (length != nullptr) {
    const bool is_digits = !length->empty() && length->size() <= 18 &&
                           std::ranges::all_of(*length, [](char c) { return c >= '0' && c <= '9'; });
    if (!is_digits) return refuse(400, "Content-Length must be a decimal number");
    head.content_length = base::parse_int<std::uint64_t>(*length).value_or(0);
  }
  return {};
}

base::Result<void> check_host(const RequestHead& head, std::string_view authority) {
  const std::string* host = head.header("host");
  if (host == nullptr) {
    if (head.minor_version >= 1) return refuse(400, "an HTTP/1.1 request has exactly one Host header");
    if (!authority.empty()) return refuse(400, "an address with a host needs the Host header as well");
    return {};
  }
  const auto named = parse_host(*host);
  if (!named) return refuse(400, named.error().message);
  if (authority.empty()) return {};
  const auto addressed = parse_host(authority);
  if (!addressed || *addressed != *named)
    return refuse(400, "the request's address and its Host header name different hosts");
  return {};
}

}  // namespace

const std::string* RequestHead::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return &value;
  return nullptr;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}

bool list_holds(const std::string* header, std::string_view token) {
  if (header == nullptr) return false;
  std::string_view rest = *header;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (base::to_lower(base::trim(rest.substr(0, comma))) == token) return true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return false;
}

base::Result<std::optional<HeadScanner::Span>> HeadScanner::scan(std::string_view received) {
  if (at_ == 0 && received.starts_with("\r\n")) at_ = begin_ = line_begin_ = 2;
  for (; at_ < received.size(); ++at_) {
    if (at_ - begin_ >= limits_.head_bytes_max) {
      if (line_begin_ == begin_)
        return refuse(414, fmt::format("the request line is longer than {} bytes", limits_.head_bytes_max));
      return refuse(431, fmt::format("the request header is larger than {} bytes", limits_.head_bytes_max));
    }
    const char c = received[at_];
    if (c == '\r') {
      // Judged when the next byte is there.
      if (at_ + 1 == received.size()) return std::optional<Span>{};
      if (received[at_ + 1] != '\n')
        return refuse(400, "the request's head holds a carriage return that ends no line");
      continue;
    }
    if (c == '\n') {
      if (at_ == 0 || received[at_ - 1] != '\r')
        return refuse(400, "the lines of a request's head must end with a carriage return and a line feed");
      const bool is_empty = at_ - 1 == line_begin_;
      line_begin_ = at_ + 1;
      if (is_empty) return std::optional<Span>{{begin_, ++at_}};
    } else if (is_control(c) && c != '\t') {
      return refuse(400, "this is not an HTTP/1.1 request: its head holds a control character");
    }
  }
  return std::optional<Span>{};
}

base::Result<RequestHead> parse_head(std::string_view text, const HeadLimits& limits) {
  RequestHead head;
  std::string_view authority;
  bool is_first = true;
  while (!text.empty()) {
    const std::size_t end = text.find("\r\n");
    if (end == std::string_view::npos) return refuse(400, "the request's head has no end");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 2);
    if (is_first) {
      MILLRACE_TRY(read_request_line(head, line, authority));
    } else if (!line.empty()) {
      MILLRACE_TRY(read_header(head, line, limits));
    } else if (!text.empty()) {
      return refuse(400, "the request's head holds an empty line");
    }
    is_first = false;
  }
  MILLRACE_TRY(read_framing(head));
  MILLRACE_TRY(check_host(head, authority));
  const std::string* connection = head.header("connection");
  head.keep_alive =
      head.minor_version >= 1 ? !list_holds(connection, "close") : list_holds(connection, "keep-alive");
  return head;
}

}  // namespace millrace::web
