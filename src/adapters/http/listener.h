// Accepts connections, holds them to their bound, and ends them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "adapters/http/http_server.h"

namespace millrace::adapters::http {

class Connection;

/// All that lives as long as the I/O goes on. A reply that comes after the stop keeps it alive, so that it
/// finds a (halted) io_context to go to. Connections may call what is not for one thread.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(ports::HttpHandler& request_handler, HttpServerOptions server_options);

  // For one thread: listen, run, stop, in this order.
  [[nodiscard]] base::Result<void> listen();
  void run();
  bool stop(base::Deadline deadline);

  /// Of a connection that ends.
  void remove(Connection* connection);

 private:
  boost::asio::awaitable<void> accept_loop();
  void admit(boost::asio::ip::tcp::socket socket);
  std::vector<std::shared_ptr<Connection>> open_connections();

  // Before the io_context: its destructor destroys the last connections, and they sign off here.
  std::mutex mutex_;
  std::condition_variable one_left_;
  std::unordered_map<Connection*, std::weak_ptr<Connection>> connections_;  // guarded by mutex_
  std::size_t refusals_ = 0;  // of connections_; guarded by mutex_
  std::vector<std::thread> threads_;

 public:
  const HttpServerOptions options;
  ports::HttpHandler& handler;
  std::atomic<bool> stopping{false};
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor acceptor;
  std::uint16_t port = 0;
};

}  // namespace millrace::adapters::http
