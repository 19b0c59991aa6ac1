// A client's socket on which every wait has a deadline.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>

namespace millrace::adapters::http {

/// What a wait for bytes came to.
enum class Fill { kGot, kEnd, kTimeout };

/// Used on the strand of its socket, one call at a time. Held by a shared_ptr, which its timer shares.
class TimedSocket : public std::enable_shared_from_this<TimedSocket> {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  /// `bytes_max`: of what was received and not consumed yet.
  TimedSocket(boost::asio::ip::tcp::socket socket, std::size_t bytes_max);

  [[nodiscard]] boost::asio::any_io_executor executor() { return socket_.get_executor(); }

  /// Waits for more bytes.
  boost::asio::awaitable<Fill> fill(Moment deadline);
  /// False: the client has gone, or did not take all of it in time.
  boost::asio::awaitable<bool> write(std::string head, std::string body, Moment deadline);

  [[nodiscard]] std::string_view received() const;
  void consume(std::size_t bytes) { buffer_.consume(bytes); }

  /// Ends the call that waits, if there is one.
  void cancel();
  /// No more is sent; reading may go on.
  void end_sending();
  void close();

 private:
  void set_deadline(Moment moment);
  void arm(Moment moment);
  void clear_deadline() { deadline_ = Moment::max(); }

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer watch_;
  Moment deadline_ = Moment::max();
  Moment armed_for_{};
  bool is_armed_ = false;
  bool timed_out_ = false;
  boost::beast::flat_buffer buffer_;
};

}  // namespace millrace::adapters::http
