#include "support/raw_http.h"

#include <array>
#include <cstdlib>

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

namespace millrace::support {

RawHttp::RawHttp(std::uint16_t port, std::chrono::milliseconds timeout) : timeout_(timeout) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    ::close(socket_);
    socket_ = -1;
  }
}

RawHttp::~RawHttp() {
  if (socket_ >= 0) ::close(socket_);
}

bool RawHttp::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawHttp::fill() {
  if (socket_ < 0) return false;
  pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, static_cast<int>(timeout_.count())) <= 0) return false;
  std::array<char, 65'536> bytes{};
  const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  buffer_.append(bytes.data(), static_cast<std::size_t>(got));
  return true;
}

RawAnswer RawHttp::read(bool has_body) {
  RawAnswer answer;
  std::size_t head_end = 0;
  while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill()) return answer;
  const std::string head = buffer_.substr(0, head_end + 2);
  buffer_.erase(0, head_end + 4);
  std::size_t line_start = head.find("\r\n") + 2;
  const int status = std::atoi(head.substr(9, 3).c_str());
  while (line_start < head.size()) {
    const std::size_t line_end = head.find("\r\n", line_start);
    const std::string_view line = std::string_view(head).substr(line_start, line_end - line_start);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos)
      answer.headers[base::to_lower(line.substr(0, colon))] = std::string(base::trim(line.substr(colon + 1)));
    line_start = line_end + 2;
  }
  if (const auto length = answer.headers.find("content-length"); has_body && length != answer.headers.end()) {
    const std::size_t size = std::strtoul(length->second.c_str(), nullptr, 10);
    while (buffer_.size() < size)
      if (!fill()) return answer;
    answer.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
  }
  answer.status = status;
  return answer;
}

bool RawHttp::ended() {
  if (socket_ < 0) return true;
  pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
  if (!buffer_.empty() || ::poll(&waiting, 1, static_cast<int>(timeout_.count())) <= 0) return false;
  char byte = 0;
  return ::recv(socket_, &byte, 1, 0) <= 0;
}

RawAnswer ask(std::uint16_t port, std::string_view method, std::string_view target, std::string_view body,
              std::string_view headers) {
  RawHttp client(port);
  std::string request =
      fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}", method, target, headers);
  if (!body.empty()) request += fmt::format("Content-Length: {}\r\n", body.size());
  client.send(request + "\r\n" + std::string(body));
  return client.read(method != "HEAD");
}

}  // namespace millrace::support
