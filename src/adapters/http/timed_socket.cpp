#include "adapters/http/timed_socket.h"

#include <array>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace millrace::adapters::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 16 * 1024;

}  // namespace

TimedSocket::TimedSocket(tcp::socket socket, std::size_t bytes_max)
    : socket_(std::move(socket)), watch_(socket_.get_executor()), buffer_(bytes_max + 4 * kReadBytes) {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
}

// The watch fires at or before the deadline and is set anew only then, so that moving the deadline costs
// nothing.
void TimedSocket::set_deadline(Moment moment) {
  deadline_ = moment;
  timed_out_ = false;
  if (!is_armed_ || moment < armed_for_) arm(moment);
}

void TimedSocket::arm(Moment moment) {
  is_armed_ = true;
  armed_for_ = moment;
  watch_.expires_at(moment);
  watch_.async_wait([self = shared_from_this()](const error_code& error) {
    if (error) return;
    self->is_armed_ = false;
    if (self->deadline_ == Moment::max()) return;
    if (SteadyClock::now() < self->deadline_) return self->arm(self->deadline_);
    self->timed_out_ = true;
    self->cancel();
  });
}

asio::awaitable<Fill> TimedSocket::fill(Moment deadline) {
  error_code error;
  set_deadline(deadline);
  const std::size_t got = co_await socket_.async_read_some(buffer_.prepare(kReadBytes),
                                                           asio::redirect_error(asio::use_awaitable, error));
  clear_deadline();
  if (!error) {
    buffer_.commit(got);
    co_return Fill::kGot;
  }
  co_return timed_out_ ? Fill::kTimeout : Fill::kEnd;
}

asio::awaitable<bool> TimedSocket::write(std::string head, std::string body, Moment deadline) {
  const std::array<asio::const_buffer, 2> parts{asio::buffer(head), asio::buffer(body)};
  error_code error;
  set_deadline(deadline);
  co_await asio::async_write(socket_, parts, asio::redirect_error(asio::use_awaitable, error));
  clear_deadline();
  co_return !error;
}

std::string_view TimedSocket::received() const {
  return {static_cast<const char*>(buffer_.data().data()), buffer_.size()};
}

void TimedSocket::cancel() {
  error_code ignored;
  socket_.cancel(ignored);
}

void TimedSocket::end_sending() {
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void TimedSocket::close() {
  clear_deadline();
  watch_.cancel();
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace millrace::adapters::http
