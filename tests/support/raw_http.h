// A plain TCP client for HTTP tests: sends the bytes that it is given, right or wrong, and reads what comes
// back.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::support {

struct RawAnswer {
  int status = 0;                              ///< 0: the connection ended before an answer.
  std::map<std::string, std::string> headers;  ///< Names in lower case.
  std::string body;
};

/// One connection to 127.0.0.1. Every wait ends by `timeout`.
class RawHttp {
 public:
  explicit RawHttp(std::uint16_t port, std::chrono::milliseconds timeout = std::chrono::seconds(10));
  ~RawHttp();
  RawHttp(const RawHttp&) = delete;
  RawHttp& operator=(const RawHttp&) = delete;

  /// False if the other side has gone.
  bool send(std::string_view bytes);
  /// Reads one answer; `has_body` is false for answers to HEAD.
  RawAnswer read(bool has_body = true);
  /// True if the other side ends the connection before the timeout and sends nothing before.
  bool ended();

 private:
  bool fill();
  int socket_ = -1;
  std::chrono::milliseconds timeout_;
  std::string buffer_;
};

/// One request on a connection of its own.
RawAnswer ask(std::uint16_t port, std::string_view method, std::string_view target,
              std::string_view body = {}, std::string_view headers = {});

}  // namespace millrace::support
