#include "warehouse/server.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/url.h"
#include "warehouse/error_code.h"

namespace millrace::warehouse {

Server::Server(ServerOptions options) : options_(std::move(options)) {}

Server::~Server() {
  for (const int descriptor : {listener_, stop_pipe_[0], stop_pipe_[1]})
    if (descriptor >= 0) ::close(descriptor);
}

base::Error Server::port_taken() const {
  return {base::ErrorKind::kConflict,
          fmt::format("cannot listen on {}: {}; stop what uses the port or choose another with --port",
                      base::host_and_port(options_.host, options_.port), std::strerror(errno))};
}

base::Result<std::uint16_t> Server::bind() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.port);
  const std::string host = options_.host == "localhost" ? "127.0.0.1" : options_.host;
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
    return base::invalid(
        fmt::format("--host {} is not an IPv4 address; use for example 127.0.0.1", options_.host));
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return std::unexpected(port_taken());
  socklen_t size = sizeof address;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  if (::pipe2(stop_pipe_, O_CLOEXEC) != 0)
    return base::unavailable(fmt::format("no pipe: {}", std::strerror(errno)));
  return ntohs(address.sin_port);
}

base::Result<void> Server::listen(Handler& handler) {
  // Two programs may be bound to one port as long as neither listens.
  if (::listen(listener_, 512) != 0) return std::unexpected(port_taken());
  handler_ = &handler;
  acceptor_ = std::thread([this] { accept_all(); });
  return {};
}

void Server::accept_all() {
  std::uint64_t next_id = 0;
  for (;;) {
    pollfd waiting[2] = {{listener_, POLLIN, 0}, {stop_pipe_[0], POLLIN, 0}};
    if (::poll(waiting, 2, -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    if ((waiting[0].revents & POLLIN) == 0) continue;
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) {
      // Out of descriptors: existing connections must end first, and asking again at once would only burn a
      // core.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) ::usleep(50'000);
      continue;
    }
    try {
      admit(socket, ++next_id);
    } catch (const std::exception& error) {
      spdlog::error("no connection: {}", error.what());
    }
  }
}

void Server::admit(int socket, std::uint64_t id) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::shared_ptr<HttpConnection> connection;
  try {
    connection = std::make_shared<HttpConnection>(socket, options_.limits);
  } catch (...) {
    ::close(socket);
    throw;
  }
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    full = connections_.size() >= options_.connections_max;
    if (!full) connections_.emplace(id, Entry{connection, true});
  }
  if (full) {
    static_cast<void>(connection->respond(
        503, {{"X-ClickHouse-Exception-Code", std::to_string(kTooManySimultaneousQueries)}},
        fmt::format("Code: {}. DB::Exception: Too many connections: {} are open; try again later. "
                    "(TOO_MANY_SIMULTANEOUS_QUERIES)\n",
                    kTooManySimultaneousQueries, options_.connections_max),
        false));
    return;
  }
  try {
    std::thread([this, connection, id] { serve(connection, id); }).detach();
  } catch (const std::system_error& error) {
    spdlog::error("no thread for a connection: {}", error.what());
    const std::lock_guard lock(mutex_);
    connections_.erase(id);
  }
}

bool Server::serve_one(HttpConnection& connection, std::uint64_t id) {
  const auto set_idle = [&](bool idle) {
    const std::lock_guard lock(mutex_);
    connections_[id].idle = idle;
    return !stopping_;
  };
  auto request = connection.read_request();
  if (!request) {
    static_cast<void>(connection.respond(request.error().vendor_code,
                                         {{"Content-Type", "text/plain; charset=UTF-8"}},
                                         request.error().message + "\n", false));
    return false;
  }
  if (!*request) return false;
  static_cast<void>(set_idle(false));
  const bool reusable = handler_->serve(connection, **request);
  return set_idle(true) && reusable;
}

void Server::serve(std::shared_ptr<HttpConnection> connection, std::uint64_t id) {
  try {
    while (serve_one(*connection, id)) {
    }
  } catch (const std::exception& error) {
    // Ends the connection, whatever it was; the others go on.
    spdlog::error("a connection ended with an exception: {}", error.what());
  }
  // Closing may wait a moment for the peer, so not under the lock; the entry stays until it is done, so that
  // `stop` waits for it.
  {
    const std::lock_guard lock(mutex_);
    connections_[id].connection.reset();
  }
  connection.reset();
  // Told under the lock: once the last entry is gone, `stop` may return and the server be destroyed.
  const std::lock_guard lock(mutex_);
  connections_.erase(id);
  closed_.notify_all();
}

bool Server::stop(base::Deadline deadline) {
  if (handler_ != nullptr) handler_->stop_waiting();
  if (acceptor_.joinable()) {
    const char byte = 1;
    static_cast<void>(::write(stop_pipe_[1], &byte, 1));
    acceptor_.join();
  }
  ::close(std::exchange(listener_, -1));
  std::unique_lock lock(mutex_);
  stopping_ = true;
  for (auto& [id, entry] : connections_)
    if (entry.idle && entry.connection) entry.connection->end_idle_wait();
  return closed_.wait_until(lock, deadline.moment(), [this] { return connections_.empty(); });
}

}  // namespace millrace::warehouse
