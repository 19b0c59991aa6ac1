#include "adapters/mysql/server_address.h"

#include <algorithm>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "base/url.h"

namespace millrace::adapters::mysql {
namespace {

// The text itself may hold a password, so messages say what is wrong and not where.
constexpr std::string_view kShape = "write it as mysql://user:password@host:port/database";

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

std::string ServerAddress::shown() const {
  if (!unix_socket.empty()) return fmt::format("{}@{}/{}", user, unix_socket, database);
  return fmt::format("{}@{}/{}", user, base::host_and_port(host, port), database);
}

base::Result<ServerAddress> parse_server_url(std::string_view text) {
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return base::invalid(fmt::format("the MySQL URL is malformed; {}", kShape));
  const boost::urls::url_view url = *parsed;
  if (url.scheme() != "mysql" && url.scheme() != "mariadb")
    return base::invalid(
        fmt::format("the MySQL URL has the scheme '{}'; {}", std::string(url.scheme()), kShape));

  ServerAddress address;
  address.user = url.user();
  address.password = url.password();
  address.host = url.host_address();
  if (url.has_port() && !url.port().empty()) {
    const auto port = base::parse_int<std::uint16_t>(std::string(url.port()));
    if (!port || *port == 0) return base::invalid(fmt::format("the MySQL URL has no valid port; {}", kShape));
    address.port = *port;
  }
  bool has_tls_mode = false;
  if (url.segments().size() == 1) address.database = *url.segments().begin();
  for (const auto& parameter : url.params()) {
    has_tls_mode |= parameter.key == "tls";
    if (parameter.key == "socket") {
      address.unix_socket = parameter.value;
    } else if (parameter.key == "tls_ca") {
      address.tls_ca_file = parameter.value;
    } else if (parameter.key == "tls" && parameter.value == "off") {
      address.tls = TlsMode::kOff;
    } else if (parameter.key == "tls" && parameter.value == "on") {
      address.tls = TlsMode::kOn;
    } else if (parameter.key == "tls" && parameter.value == "verify") {
      address.tls = TlsMode::kVerify;
    } else {
      return base::invalid(
          fmt::format("the MySQL URL has an unknown parameter '{}'; known are socket=PATH, tls=off|on|verify "
                      "and tls_ca=PATH",
                      base::printable(parameter.key, 40)));
    }
  }
  // Who names an authority wants the server checked against it.
  if (!address.tls_ca_file.empty() && !has_tls_mode) address.tls = TlsMode::kVerify;
  if (address.tls == TlsMode::kOff && !address.tls_ca_file.empty())
    return base::invalid("the MySQL URL has tls_ca and tls=off: leave one of them out");
  if (address.user.empty()) return base::invalid(fmt::format("the MySQL URL names no user; {}", kShape));
  if (address.host.empty() && address.unix_socket.empty())
    return base::invalid(fmt::format("the MySQL URL names no host; {}", kShape));
  if (!is_plain_name(address.database))
    return base::invalid(
        "the MySQL URL must end in a database name of 1 to 64 letters, digits, '_' or '-', such as "
        "/ecommerce");
  return address;
}

}  // namespace millrace::adapters::mysql
