// Ports for servers that are told their port, instead of binding port 0 themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace millrace::support {

/// Keeps other tests that run now from getting the port, until this process ends; false if one has it.
inline bool claim_port(int port) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string text = "millrace-test-port-" + std::to_string(port);  // after a 0: in no file system
  text.copy(name.sun_path + 1, text.size());
  const int claim = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  if (::bind(claim, reinterpret_cast<const sockaddr*>(&name), size) == 0) return true;
  ::close(claim);
  return false;
}

/// A port of 127.0.0.1 that nothing uses at this moment and no other test was given, outside of the range
/// from which outgoing connections get theirs (from 32,768 on, on Linux): one of those could take a port that
/// bind(0) has just handed out.
inline std::uint16_t free_port() {
  std::random_device random;
  std::uniform_int_distribution<int> ports(15'000, 32'000);
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(ports(random)));
    const bool bound = ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    ::close(socket);
    if (bound && claim_port(ntohs(address.sin_port))) return ntohs(address.sin_port);
  }
  throw std::runtime_error("no free port on 127.0.0.1");
}

}  // namespace millrace::support
