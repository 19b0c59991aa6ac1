#include "base/url.h"

#include <boost/url/decode_view.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/pct_string_view.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <fmt/format.h>

#include "base/text.h"

namespace millrace::base {
namespace {

struct PlainChars {
  std::string_view also;
  bool operator()(char c) const noexcept {
    return boost::urls::unreserved_chars(static_cast<unsigned char>(c)) ||
           also.find(c) != std::string_view::npos;
  }
};

}  // namespace

std::string host_and_port(std::string_view host, std::int64_t port) {
  const bool needs_brackets = host.find(':') != std::string_view::npos && !host.starts_with('[');
  return needs_brackets ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string http_url(std::string_view host, std::int64_t port) {
  return "http://" + host_and_port(host, port);
}

bool is_http_url(std::string_view text) {
  const auto url = boost::urls::parse_uri({text.data(), text.size()});
  if (!url || url->host().empty()) return false;
  const auto scheme = url->scheme_id();
  return (scheme == boost::urls::scheme::http || scheme == boost::urls::scheme::https) &&
         (!url->has_port() || parse_int<std::uint16_t>(url->port()).value_or(0) != 0);
}

std::string connect_host(std::string_view host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  if (host == "::" || host == "[::]") return "::1";
  return std::string(host);
}

std::string percent_encoded(std::string_view text, std::string_view also_plain) {
  return boost::urls::encode({text.data(), text.size()}, PlainChars{also_plain});
}

Result<std::string> percent_decoded(std::string_view text, bool plus_is_blank) {
  const auto encoded = boost::urls::make_pct_string_view({text.data(), text.size()});
  if (!encoded)
    return invalid(
        "the address has a '%' that two hexadecimal digits do not follow; write '%25' for a percent sign");
  boost::urls::encoding_opts options;
  options.space_as_plus = plus_is_blank;
  return encoded->decode(options);
}

Result<QueryParameters> parse_query(std::string_view query) {
  // Split by hand: Boost's own views refuse characters that clients send unescaped, such as '[' and '"'.
  QueryParameters parameters;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    MILLRACE_TRY_ASSIGN(std::string name, percent_decoded(pair.substr(0, equals), true));
    MILLRACE_TRY_ASSIGN(std::string value,
                        percent_decoded(pair.substr(std::min(equals + 1, pair.size())), true));
    parameters.emplace_back(std::move(name), std::move(value));
  }
  return parameters;
}

}  // namespace millrace::base
