// One client: reads its requests, has them answered, writes the answers.
#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "adapters/http/listener.h"
#include "adapters/http/timed_socket.h"
#include "ports/http.h"
#include "web/head.h"

namespace millrace::adapters::http {

/// Everything runs on the strand of its socket, but for `cut_off`.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Listener& listener, boost::asio::ip::tcp::socket socket, bool is_refused);
  ~Connection() { listener_.remove(this); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] boost::asio::any_io_executor executor() { return socket_->executor(); }

  /// To its end.
  boost::asio::awaitable<void> serve();

  const bool refused;  ///< Beyond the bound: it only gets told so.

  /// Only when no thread runs the io_context any more.
  void cut_off() { socket_->close(); }

  /// Closes the connection unless a request is running.
  void wind_down() {
    if (!is_running_) socket_->cancel();
  }

 private:
  /// Where the handler's answer meets the waiting connection.
  struct Exchange;
  /// What ended the reading of a request: the answer to refuse it with, or nothing if the client has gone.
  using Stopped = std::optional<ports::HttpResponse>;

  static Stopped stopped_by(Fill filled);
  boost::asio::awaitable<void> serve_all();
  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<std::expected<web::RequestHead, Stopped>> read_head();
  boost::asio::awaitable<std::expected<std::string, Stopped>> read_body(const web::RequestHead& head);
  void hand_on(ports::HttpRequest request, const std::shared_ptr<Exchange>& exchange);
  boost::asio::awaitable<std::optional<ports::HttpResponse>> ask_handler(ports::HttpRequest request);
  boost::asio::awaitable<bool> refuse(ports::HttpResponse response);
  boost::asio::awaitable<bool> write(std::string head, std::string body);
  void tell_answered(const ports::HttpResponse& response) const;

  Listener& listener_;
  const std::shared_ptr<TimedSocket> socket_;
  bool is_running_ = false;  ///< A request's header is complete and its answer not yet written.
  std::string verb_;         ///< Of the request that is being served; empty before its head was read.
  TimedSocket::Moment began_ = std::chrono::steady_clock::now();  ///< When that request had arrived so far.
};

}  // namespace millrace::adapters::http
