#include "web/host.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::web {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}
bool is_address_character(char c) {
  return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.';
}

/// The trimmed parts between commas; empty ones are left out.
std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (const auto part = base::trim(text.substr(0, comma)); !part.empty()) parts.push_back(part);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

}  // namespace

base::Result<HostPort> parse_host(std::string_view text) {
  const auto wrong = [&] {
    return base::invalid(
        fmt::format("'{}' is not a host, such as localhost:3000", base::printable(text, 80)));
  };
  constexpr std::size_t kHostBytesMax = 260;
  if (text.empty() || text.size() > kHostBytesMax) return wrong();
  HostPort host;
  const std::string lower = base::to_lower(text);
  std::string_view rest = lower;
  if (rest.front() == '[') {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos || end < 3) return wrong();
    host.name = rest.substr(0, end + 1);
    if (!std::ranges::all_of(rest.substr(1, end - 1), is_address_character)) return wrong();
    rest.remove_prefix(end + 1);
  } else {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    host.name = rest.substr(0, end);
    if (host.name.ends_with('.')) host.name.pop_back();
    if (host.name.empty() || !std::ranges::all_of(host.name, is_name_character)) return wrong();
    rest.remove_prefix(end);
  }
  if (rest.empty()) return host;
  rest.remove_prefix(1);
  const bool is_digits = std::ranges::all_of(rest, [](char c) { return c >= '0' && c <= '9'; });
  if (lower[lower.size() - rest.size() - 1] != ':' || !is_digits) return wrong();
  if (rest.empty()) return host;
  const auto port = base::parse_int<std::uint32_t>(rest);
  if (!port || *port > UINT16_MAX) return wrong();
  host.port = std::to_string(*port);
  return host;
}

bool is_loopback(std::string_view name) {
  if (name == "localhost" || name == "[::1]") return true;
  if (!name.starts_with("127.")) return false;
  int parts = 0;
  while (!name.empty()) {
    const std::size_t dot = std::min(name.find('.'), name.size());
    const std::string_view part = name.substr(0, dot);
    const auto number = base::parse_int<std::uint32_t>(part);
    if (!number || *number > 255 || part.size() > 3) return false;
    ++parts;
    if (dot == name.size()) break;
    name.remove_prefix(dot + 1);
  }
  return parts == 4 && !name.empty();
}

base::Result<std::string> parse_origin(std::string_view text) {
  const std::string lower = base::to_lower(text);
  std::string_view rest = lower;
  const bool is_tls = rest.starts_with("https://");
  const auto wrong = [&] {
    return base::invalid(
        fmt::format("'{}' is not an origin, such as http://localhost:8080", base::printable(text, 80)));
  };
  if (!is_tls && !rest.starts_with("http://")) return wrong();
  rest.remove_prefix(is_tls ? 8 : 7);
  const auto host = parse_host(rest);
  if (!host) return wrong();
  std::string origin = fmt::format("{}://{}", is_tls ? "https" : "http", host->name);
  if (!host->port.empty() && host->port != (is_tls ? "443" : "80")) origin += ":" + host->port;
  return origin;
}

base::Result<std::vector<HostPort>> parse_hosts(std::string_view text) {
  std::vector<HostPort> hosts;
  for (const std::string_view part : parts_of(text)) {
    MILLRACE_TRY_ASSIGN(HostPort host, parse_host(part));
    hosts.push_back(std::move(host));
  }
  return hosts;
}

base::Result<std::vector<std::string>> parse_origins(std::string_view text) {
  std::vector<std::string> origins;
  for (const std::string_view part : parts_of(text)) {
    MILLRACE_TRY_ASSIGN(std::string origin, parse_origin(part));
    origins.push_back(std::move(origin));
  }
  return origins;
}

}  // namespace millrace::web
