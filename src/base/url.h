// Parts of URLs: hosts and ports, percent-encoding, query strings. By Boost.URL.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace millrace::base {

/// "127.0.0.1:3000", and "[::1]:3000" for an IPv6 address, which needs brackets wherever a port may follow:
/// in URLs, in Host headers and in lists of brokers. A host that has its brackets already keeps them.
[[nodiscard]] std::string host_and_port(std::string_view host, std::int64_t port);

/// "http://[::1]:3000", without a slash at the end.
[[nodiscard]] std::string http_url(std::string_view host, std::int64_t port);

/// Whether it is an absolute URL of the scheme http or https with a host, and well-formed (RFC 3986).
[[nodiscard]] bool is_http_url(std::string_view text);

/// The address to connect to when a server of this machine listens on `host`: the loopback address if it
/// listens on all ("0.0.0.0", "::"), otherwise `host` itself.
[[nodiscard]] std::string connect_host(std::string_view host);

/// For a part of a URL: all bytes but letters, digits, "-_.~" (RFC 3986) and those of `also_plain` as %XX.
[[nodiscard]] std::string percent_encoded(std::string_view text, std::string_view also_plain = {});

/// Every %XX by its byte, whatever that is; with `plus_is_blank` (in queries) also '+' by a blank. Errors:
/// kInvalid, a '%' that two hexadecimal digits do not follow.
[[nodiscard]] Result<std::string> percent_decoded(std::string_view text, bool plus_is_blank);

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

/// "a=1&b=x+y" decoded, in its order. One without '=' has an empty value; nothing between two '&' is none.
/// Errors: as percent_decoded.
[[nodiscard]] Result<QueryParameters> parse_query(std::string_view query);

}  // namespace millrace::base
