#include "supervise/tcp_probe.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/url.h"

namespace millrace::supervise {
namespace {

constexpr std::chrono::milliseconds kPortPatience{2'000};
constexpr std::chrono::milliseconds kPortTryInterval{20};

class Socket {
 public:
  explicit Socket(int family) : file_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (file_ >= 0) ::close(file_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int file() const { return file_; }

 private:
  int file_;
};

base::Result<sockaddr_in> address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &address.sin_addr) != 1)
    return base::invalid(fmt::format("'{}' is not a numeric IPv4 address such as 127.0.0.1", host));
  return address;
}

bool wait_for(int file, short events, base::Deadline deadline) {
  pollfd entry{.fd = file, .events = events, .revents = 0};
  const auto left_ms =
      static_cast<int>(std::min<std::int64_t>(deadline.left().count(), std::numeric_limits<int>::max()));
  return ::poll(&entry, 1, left_ms) > 0;
}

/// 0, or the error number.
int try_to_listen(const sockaddr_in& address) {
  const Socket socket(AF_INET);
  // Connections that ended a moment ago do not count; only a listener does.
  const int yes = 1;
  ::setsockopt(socket.file(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const bool free =
      ::bind(socket.file(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::listen(socket.file(), 1) == 0;
  return free ? 0 : errno;
}

}  // namespace

base::Result<void> check_port_free(const std::string& host, std::uint16_t port) {
  MILLRACE_TRY_ASSIGN(const sockaddr_in address, address_of(host, port));
  // A server that was killed closes its files one after the other: the lock of its directory may be free a
  // moment before its port is.
  const auto patience = base::Deadline::in(kPortPatience);
  while (true) {
    const int code = try_to_listen(address);
    if (code == 0) return {};
    if (code != EADDRINUSE || patience.passed())
      return base::fail(base::ErrorKind::kConflict,
                        fmt::format("port {} on {} cannot be used ({})", port, host, std::strerror(code)),
                        code);
    std::this_thread::sleep_for(kPortTryInterval);
  }
}

base::Result<std::string> first_answer(const std::string& host, std::uint16_t port, std::string_view request,
                                       base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const sockaddr_in address, address_of(host, port));
  const auto silent = [&] {
    return base::unavailable(fmt::format("{} does not answer", base::host_and_port(host, port)));
  };
  const Socket socket(AF_INET);
  if (::connect(socket.file(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno != EINPROGRESS || !wait_for(socket.file(), POLLOUT, deadline)) return silent();
    int error = 0;
    socklen_t size = sizeof(error);
    if (::getsockopt(socket.file(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return silent();
  }
  // A request of a few lines fits the socket's buffer in one piece.
  if (!request.empty() && ::send(socket.file(), request.data(), request.size(), MSG_NOSIGNAL) !=
                              static_cast<ssize_t>(request.size()))
    return silent();
  std::array<char, 1'024> answer{};
  if (!wait_for(socket.file(), POLLIN, deadline)) return silent();
  const ssize_t got = ::recv(socket.file(), answer.data(), answer.size(), 0);
  if (got <= 0) return silent();
  return std::string(answer.data(), static_cast<std::size_t>(got));
}

}  // namespace millrace::supervise
