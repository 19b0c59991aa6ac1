// Hosts and origins as browsers write them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::web {

struct HostPort {
  std::string name;  ///< In lower case; an IPv6 address in its brackets; without a dot at the end.
  std::string port;  ///< Digits; empty: none is named.
  bool operator==(const HostPort&) const = default;
};

/// The value of a Host header. Errors: kInvalid.
[[nodiscard]] base::Result<HostPort> parse_host(std::string_view text);

/// localhost, 127.0.0.0/8 in dotted decimal, or [::1].
[[nodiscard]] bool is_loopback(std::string_view name);

/// "http://shop.example:8080" in lower case, without the scheme's own port. Errors: kInvalid (a path, another
/// scheme, `null`).
[[nodiscard]] base::Result<std::string> parse_origin(std::string_view text);

/// Comma-separated hosts, each with or without a port. Errors: kInvalid, naming the one that is wrong.
[[nodiscard]] base::Result<std::vector<HostPort>> parse_hosts(std::string_view text);

/// Comma-separated origins. Errors: kInvalid, naming the one that is wrong.
[[nodiscard]] base::Result<std::vector<std::string>> parse_origins(std::string_view text);

}  // namespace millrace::web
