// Where a MySQL or MariaDB server is and how to log in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::adapters::mysql {

enum class TlsMode {
  kOff,     ///< Plain; the default, for servers on the loopback interface or a Unix socket.
  kOn,      ///< Encrypted, the server's certificate is not checked.
  kVerify,  ///< Encrypted, the certificate must be valid for the host.
};

struct ServerAddress {
  std::string host = "127.0.0.1";
  std::uint16_t port = 3306;
  std::string unix_socket;  ///< Path; if given, host and port are not used.
  std::string user;
  std::string password;
  std::string
      database;  ///< 1 to 64 of A-Z a-z 0-9 _ -, so that it needs no escaping where it is a name in SQL.
  TlsMode tls = TlsMode::kOff;
  std::string tls_ca_file;  ///< PEM; empty: the system's own.

  /// "user@host:port/database", for logs and messages: without the password.
  [[nodiscard]] std::string shown() const;
};

/// Reads "mysql://user:password@host:port/database" with percent-encoding; also "?socket=/path", "?tls=on",
/// "?tls=verify",
/// "?tls_ca=/path", which means tls=verify unless tls says otherwise. Port 3306 by default. Errors: kInvalid;
/// the message never holds the password.
[[nodiscard]] base::Result<ServerAddress> parse_server_url(std::string_view url);

}  // namespace millrace::adapters::mysql
