#include "web/access.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::web {
namespace {

constexpr std::string_view kAllowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE";
constexpr std::string_view kAllowedHeaders =
    "Authorization, Content-Type, Content-Encoding, Traceparent, X-Admin-Id, X-ClickHouse-Database, "
    "X-ClickHouse-Format, X-ClickHouse-Key, X-ClickHouse-User";
constexpr std::string_view kExposedHeaders =
    "Location, Retry-After, X-ClickHouse-Exception-Code, X-ClickHouse-Exception-Tag, X-ClickHouse-Format, "
    "X-ClickHouse-Query-Id, X-ClickHouse-Summary";

bool is_our_host(const AccessRules& rules, const HostPort& host) {
  if (is_loopback(host.name)) return true;
  if (const auto own = parse_host(rules.listen_host); own && own->name == host.name) return true;
  // An IPv6 address is configured without the brackets that a Host header has.
  if (host.name == "[" + rules.listen_host + "]") return true;
  return std::ranges::any_of(rules.allowed_hosts, [&](const HostPort& allowed) {
    return allowed.name == host.name && (allowed.port.empty() || allowed.port == host.port);
  });
}

/// The origin of a page that this server itself sent.
std::string own_origin(const HostPort& host) {
  std::string origin = "http://" + host.name;
  if (!host.port.empty() && host.port != "80") origin += ":" + host.port;
  return origin;
}

bool is_navigation(const RequestHead& head) {
  const std::string* mode = head.header("sec-fetch-mode");
  const std::string* target = head.header("sec-fetch-dest");
  return (head.method == "GET" || head.method == "HEAD") && mode != nullptr && *mode == "navigate" &&
         target != nullptr && *target == "document";
}

Refusal foreign_page() {
  return {
      403,
      "this request comes from a web page of another site; name its origin in the setting cors.origins to "
      "allow it"};
}

}  // namespace

base::Result<AccessRules> access_rules(std::string listen_host, std::string_view hosts,
                                       std::string_view origins) {
  AccessRules rules;
  rules.listen_host = std::move(listen_host);
  auto allowed = parse_hosts(hosts);
  if (!allowed) return base::invalid("http.allowed_hosts: " + allowed.error().message);
  rules.allowed_hosts = std::move(*allowed);
  auto cors = parse_origins(origins);
  if (!cors) return base::invalid("cors.origins: " + cors.error().message);
  rules.cors_origins = std::move(*cors);
  return rules;
}

Access check_access(const AccessRules& rules, const RequestHead& head) {
  Access access;
  if (!rules.cors_origins.empty()) access.headers.emplace_back("Vary", "Origin");
  const std::string* host_header = head.header("host");
  HostPort host;
  if (host_header != nullptr) {
    auto parsed = parse_host(*host_header);
    if (!parsed || !is_our_host(rules, *parsed)) {
      access.refusal = {421, fmt::format("this server is not '{}'; name the host in the setting "
                                         "http.allowed_hosts to be served under it",
                                         base::printable(*host_header, 80))};
      return access;
    }
    host = std::move(*parsed);
  }
  if (host_header == nullptr && is_from_browser(head)) {
    access.refusal = {403, "a browser's request names its host; send HTTP/1.1"};
    return access;
  }
  const std::string* origin = head.header("origin");
  const std::string* site = head.header("sec-fetch-site");
  if (origin != nullptr) {
    // "null", and whatever else is no origin, is of a page that nobody can name.
    const auto named = parse_origin(*origin);
    const bool is_listed = named && std::ranges::find(rules.cors_origins, *named) != rules.cors_origins.end();
    if (is_listed) {
      access.headers.emplace_back("Access-Control-Allow-Origin", *origin);
      access.headers.emplace_back("Access-Control-Expose-Headers", kExposedHeaders);
      if (head.method == "OPTIONS" && head.header("access-control-request-method") != nullptr) {
        access.is_preflight = true;
        access.headers.emplace_back("Access-Control-Allow-Methods", kAllowedMethods);
        access.headers.emplace_back("Access-Control-Allow-Headers", kAllowedHeaders);
        access.headers.emplace_back("Access-Control-Max-Age", "600");
      }
      return access;
    }
    if (!named || host_header == nullptr || *named != own_origin(host)) {
      access.refusal = foreign_page();
      return access;
    }
  }
  if (site == nullptr || *site == "same-origin" || *site == "none") return access;
  if (rules.allows_navigation && origin == nullptr && is_navigation(head)) return access;
  access.refusal = foreign_page();
  return access;
}

bool is_from_browser(const RequestHead& head) {
  return head.header("origin") != nullptr || std::ranges::any_of(head.headers, [](const auto& header) {
           return header.first.starts_with("sec-fetch-");
         });
}

bool looks_like_browser(const RequestHead& head) {
  const std::string* agent = head.header("user-agent");
  return is_from_browser(head) || head.header("referer") != nullptr ||
         (agent != nullptr && agent->starts_with("Mozilla/"));
}

std::string media_type(const RequestHead& head) {
  const std::string* type = head.header("content-type");
  if (type == nullptr) return {};
  return base::to_lower(base::trim(std::string_view(*type).substr(0, type->find(';'))));
}

bool is_simple_type(std::string_view type) {
  return type.empty() || type == "text/plain" || type == "application/x-www-form-urlencoded" ||
         type == "multipart/form-data";
}

std::optional<std::string> check_json_body(const RequestHead& head) {
  const bool changes =
      head.method == "POST" || head.method == "PUT" || head.method == "PATCH" || head.method == "DELETE";
  if (!changes || !head.has_body() || media_type(head) == "application/json") return std::nullopt;
  return "send the body as JSON, with the header Content-Type: application/json";
}

std::string security_headers(std::string_view content_type) {
  std::string headers =
      "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\nReferrer-Policy: "
      "no-referrer\r\n";
  if (content_type.starts_with("text/html"))
    headers +=
        "X-Frame-Options: DENY\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
  return headers;
}

}  // namespace millrace::web
