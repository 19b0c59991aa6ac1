#include "support/commit_gate.h"

#include <array>
#include <chrono>
#include <stdexcept>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace millrace::support {
namespace {

using namespace std::chrono_literals;

constexpr int kLookIntervalMs = 20;
// A packet of 7 bytes, number 0: COM_QUERY with the text COMMIT. Source: MySQL client/server protocol.
constexpr std::string_view kCommit(
    "\x07\0\0\0\x03"
    "COMMIT",
    11);

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

CommitGate::CommitGate(std::uint16_t server_port)
    : server_port_(server_port), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("cannot listen on 127.0.0.1");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

CommitGate::~CommitGate() {
  ending_ = true;
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

void CommitGate::accept_all() {
  while (!ending_) {
    pollfd entry{.fd = listener_, .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, kLookIntervalMs) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([this, client] { pass(client); });
  }
}

void CommitGate::pass(int client) {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(server_port_);
  bool open = ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  bool client_open = true;
  std::array<char, 65'536> buffer{};
  while (open && !ending_) {
    std::array<pollfd, 2> entries{
        {{.fd = client, .events = POLLIN, .revents = 0}, {.fd = server, .events = POLLIN, .revents = 0}}};
    if (::poll(entries.data(), entries.size(), kLookIntervalMs) <= 0) continue;
    if (entries[0].revents != 0) {
      const ssize_t got = ::recv(client, buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
      const CommitFault fault = bytes == kCommit ? fault_.exchange(CommitFault::kNone) : CommitFault::kNone;
      if (fault == CommitFault::kLost) break;
      if (fault == CommitFault::kLate) {
        ::close(client);
        client_open = false;
        std::this_thread::sleep_for(500ms);
      }
      open = send_all(server, bytes);
      if (fault != CommitFault::kNone) {
        // The answer says that the commit is done; nobody else gets to see it.
        ::recv(server, buffer.data(), buffer.size(), 0);
        break;
      }
    }
    if (entries[1].revents != 0) {
      const ssize_t got = ::recv(server, buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      open = send_all(client, {buffer.data(), static_cast<std::size_t>(got)});
    }
  }
  if (client_open) ::close(client);
  ::close(server);
}

}  // namespace millrace::support
