#include "adapters/http/listener.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/http/connection.h"
#include "base/exceptions.h"
#include "base/text.h"
#include "base/url.h"

namespace millrace::adapters::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kRefusalsMax = 64;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

}  // namespace

Listener::Listener(ports::HttpHandler& request_handler, HttpServerOptions server_options)
    : options(std::move(server_options)), handler(request_handler), acceptor(asio::make_strand(context)) {}

base::Result<void> Listener::listen() {
  error_code error;
  const auto address =
      asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, error);
  if (error)
    return base::invalid(fmt::format("cannot listen on '{}': give an IP address, such as 127.0.0.1",
                                     base::printable(options.host, 60)));
  const tcp::endpoint endpoint(address, options.port);
  acceptor.open(endpoint.protocol(), error);
  // Without it a restart would have to wait for old connections in TIME_WAIT; a listening socket still keeps
  // others out.
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    const std::string where = "cannot listen on " + base::host_and_port(options.host, options.port);
    if (error == asio::error::address_in_use)
      return base::conflict(where + ": the port is in use; stop the other program or set another port");
    return base::fail(base::ErrorKind::kFatal, where + ": " + error.message(), error.value());
  }
  port = acceptor.local_endpoint(error).port();
  return {};
}

void Listener::run() {
  asio::co_spawn(acceptor.get_executor(), accept_loop(), asio::detached);
  const std::size_t count = std::max<std::size_t>(1, options.threads);
  for (std::size_t i = 0; i < count; ++i) {
    threads_.emplace_back([this] {
      while (!context.stopped()) {
        const auto thrown = base::exception_of([this] { context.run(); });
        if (thrown) spdlog::error("HTTP server: an exception on an I/O thread: {}", *thrown);
      }
    });
  }
}

asio::awaitable<void> Listener::accept_loop() {
  asio::steady_timer pause(acceptor.get_executor());
  for (;;) {
    error_code error;
    tcp::socket socket = co_await acceptor.async_accept(asio::make_strand(context),
                                                        asio::redirect_error(asio::use_awaitable, error));
    if (stopping || !acceptor.is_open()) co_return;
    if (error) {
      if (error == asio::error::connection_aborted) continue;
      spdlog::warn("HTTP server: cannot accept a connection: {}", error.message());
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const auto thrown = base::exception_of([&] { admit(std::move(socket)); });
    if (thrown) spdlog::error("HTTP server: cannot serve a connection: {}", *thrown);
  }
}

void Listener::admit(tcp::socket socket) {
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    const bool is_full = connections_.size() - refusals_ >= options.connections_max;
    if (stopping || (is_full && refusals_ >= kRefusalsMax)) return;
    connection = std::make_shared<Connection>(*this, std::move(socket), is_full);
    connections_.emplace(connection.get(), connection);
    if (is_full) ++refusals_;
  }
  const auto executor = connection->executor();
  asio::co_spawn(
      executor,
      [](std::shared_ptr<Connection> one) -> asio::awaitable<void> {
        co_await one->serve();
      }(std::move(connection)),
      asio::detached);
}

void Listener::remove(Connection* connection) {
  {
    const std::lock_guard lock(mutex_);
    if (connections_.erase(connection) > 0 && connection->refused) --refusals_;
  }
  one_left_.notify_all();
}

std::vector<std::shared_ptr<Connection>> Listener::open_connections() {
  std::vector<std::shared_ptr<Connection>> open;
  const std::lock_guard lock(mutex_);
  for (const auto& [address, connection] : connections_)
    if (auto one = connection.lock()) open.push_back(std::move(one));
  return open;
}

bool Listener::stop(base::Deadline deadline) {
  if (threads_.empty()) return true;
  stopping = true;
  asio::post(acceptor.get_executor(), [this] {
    error_code ignored;
    acceptor.close(ignored);
  });
  for (auto& one : open_connections()) {
    const auto executor = one->executor();
    asio::post(executor, [one = std::move(one)] { one->wind_down(); });
  }
  std::unique_lock waiting(mutex_);
  const bool all_gone =
      one_left_.wait_until(waiting, deadline.moment(), [this] { return connections_.empty(); });
  waiting.unlock();
  context.stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  // Clients of requests that are cut off hear of it now, not when a late reply lets go of the io_context.
  for (const auto& one : open_connections()) one->cut_off();
  return all_gone;
}

}  // namespace millrace::adapters::http
