#include "warehouse/http_connection.h"

#include <cerrno>
#include <mutex>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/text.h"
#include "warehouse/error_code.h"

namespace millrace::warehouse {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using base::Deadline;

/// What Beast reads from: a plain socket whose waits end at a deadline.
class SocketStream {
 public:
  explicit SocketStream(int socket) : socket_(socket) {}
  void set_deadline(Deadline deadline) { deadline_ = deadline; }

  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, boost::system::error_code& error) {
    const boost::asio::mutable_buffer buffer = *boost::asio::buffer_sequence_begin(buffers);
    error = {};
    for (;;) {
      pollfd waiting{socket_, POLLIN, 0};
      const int ready = ::poll(&waiting, 1, static_cast<int>(deadline_.left().count()));
      if (ready == 0) {
        error = boost::system::errc::make_error_code(boost::system::errc::timed_out);
        return 0;
      }
      if (ready < 0 && errno == EINTR) continue;
      const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got > 0) return static_cast<std::size_t>(got);
      if (got == 0) {
        error = boost::asio::error::eof;
        return 0;
      }
      if (errno == EAGAIN || errno == EINTR) continue;
      error = boost::system::error_code(errno, boost::system::system_category());
      return 0;
    }
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    boost::system::error_code error;
    const std::size_t got = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return got;
  }

 private:
  int socket_;
  Deadline deadline_ = Deadline::in(std::chrono::milliseconds(0));
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view reason(int status) {
  return {http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status))).data(),
          http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status))).size()};
}

std::string head_of(int status, const HttpConnection::Headers& headers, bool keep_alive) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nConnection: {}\r\n", status, reason(status),
                                 keep_alive ? "Keep-Alive" : "close");
  for (const auto& [name, value] : headers) {
    head += name;
    head += ": ";
    // A line end in a value would let it add headers of its own.
    for (const char c : value)
      if (c != '\r' && c != '\n' && c != '\0') head += c;
    head += "\r\n";
  }
  return head;
}

/// An error whose vendor code is the HTTP status to refuse the request with.
std::unexpected<base::Error> refused(int status, std::string message) {
  return base::fail(base::ErrorKind::kInvalid, std::move(message), status);
}

}  // namespace

struct HttpConnection::Parser {
  explicit Parser(int socket) : stream(socket) {}
  SocketStream stream;
  beast::flat_buffer buffer{1u << 20};
  std::optional<http::request_parser<http::buffer_body>> request;
};

const std::string* HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return &value;
  return nullptr;
}

const std::string* HttpRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters)
    if (key == name) return &value;
  return nullptr;
}

base::Result<std::string> url_decoded(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      plain += ' ';
    } else if (text[i] == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return base::invalid("the URL has a broken %-escape; write %25 for a percent sign");
      plain += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

HttpConnection::HttpConnection(int socket, const HttpLimits& limits)
    : socket_(socket), limits_(limits), parser_(std::make_unique<Parser>(socket)) {}

HttpConnection::~HttpConnection() {
  // Closing over unread bytes would reset the connection, and the peer would lose the answer that says why.
  if (response_begun_ && parser_->request && !parser_->request->is_done()) {
    ::shutdown(socket_, SHUT_WR);
    char waste[16 << 10];
    const Deadline deadline = Deadline::in(std::chrono::milliseconds(500));
    for (int round = 0; round < 256; ++round) {
      pollfd waiting{socket_, POLLIN, 0};
      if (::poll(&waiting, 1, static_cast<int>(deadline.left().count())) <= 0) break;
      if (::recv(socket_, waste, sizeof waste, MSG_DONTWAIT) <= 0) break;
    }
  }
  ::close(socket_);
}

bool HttpConnection::wait_for_request() {
  if (parser_->buffer.size() > 0) return true;
  pollfd waiting{socket_, POLLIN, 0};
  const Deadline deadline = Deadline::in(limits_.idle_timeout);
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, static_cast<int>(deadline.left().count()));
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

base::Result<bool> HttpConnection::read_head() {
  Parser& parser = *parser_;
  parser.request.emplace();
  auto& request = *parser.request;
  request.header_limit(limits_.header_bytes_max);
  request.body_limit(limits_.body_bytes_max);
  parser.stream.set_deadline(Deadline::in(limits_.header_timeout));
  boost::system::error_code error;
  const auto too_large = [&] {
    return refused(
        431, fmt::format("the request's headers are larger than {} bytes, or one of them is larger than "
                         "64 KiB; send the statement in the body",
                         limits_.header_bytes_max));
  };
  try {
    http::read_header(parser.stream, parser.buffer, request, error);
  } catch (const std::length_error&) {
    // Beast keeps the size of a name and of a value in two bytes, and throws when they do not fit.
    return too_large();
  }
  if (error == http::error::end_of_stream || error == boost::asio::error::connection_reset) return false;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return too_large();
  if (error == http::error::body_limit)
    return refused(413, fmt::format("the request's body is larger than {} bytes; send it in smaller parts",
                                    limits_.body_bytes_max));
  if (error == boost::system::errc::timed_out)
    return refused(408, "the request's headers did not come in time");
  if (error) return refused(400, "this is not an HTTP/1.1 request: " + error.message());
  return true;
}

base::Result<HttpRequest> HttpConnection::request_of_head() {
  const auto& message = parser_->request->get();
  HttpRequest head;
  head.method = std::string(message.method_string());
  head.keep_alive = message.keep_alive() && message.version() >= 11;
  for (const auto& field : message)
    head.headers.emplace_back(base::to_lower({field.name_string().data(), field.name_string().size()}),
                              std::string(field.value().data(), field.value().size()));
  if (const std::string* expect = head.header("expect"); expect != nullptr)
    expects_continue_ = base::to_lower(base::trim(*expect)) == "100-continue";
  head_only_ = head.method == "HEAD";
  knows_chunks_ = message.version() >= 11;

  std::string_view target(message.target().data(), message.target().size());
  target = target.substr(0, target.find('#'));
  const auto question = target.find('?');
  const auto bad_url = [](const base::Error& why) { return refused(400, why.message); };
  auto path = url_decoded(target.substr(0, question));
  if (!path) return bad_url(path.error());
  head.path = std::move(*path);
  std::string_view query =
      question == std::string_view::npos ? std::string_view{} : target.substr(question + 1);
  while (!query.empty()) {
    const auto ampersand = query.find('&');
    const std::string_view pair = query.substr(0, ampersand);
    const auto equals = pair.find('=');
    auto name = url_decoded(pair.substr(0, equals));
    auto value = url_decoded(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
    if (!name) return bad_url(name.error());
    if (!value) return bad_url(value.error());
    if (!name->empty()) head.parameters.emplace_back(std::move(*name), std::move(*value));
    if (ampersand == std::string_view::npos) break;
    query.remove_prefix(ampersand + 1);
  }
  return head;
}

base::Result<std::optional<HttpRequest>> HttpConnection::read_request() {
  response_begun_ = false;
  expects_continue_ = false;
  head_only_ = false;
  if (!wait_for_request()) return std::optional<HttpRequest>{};
  MILLRACE_TRY_ASSIGN(const bool came, read_head());
  if (!came) return std::optional<HttpRequest>{};
  MILLRACE_TRY_ASSIGN(HttpRequest head, request_of_head());
  return std::optional(std::move(head));
}

base::Result<std::size_t> HttpConnection::read(char* into, std::size_t size) {
  Parser& parser = *parser_;
  auto& request = *parser.request;
  if (request.is_done()) return std::size_t{0};
  if (std::exchange(expects_continue_, false)) MILLRACE_TRY(write_all("HTTP/1.1 100 Continue\r\n\r\n"));
  auto& body = request.get().body();
  body.data = into;
  body.size = size;
  body.more = true;
  boost::system::error_code error;
  const Deadline deadline = Deadline::in(limits_.receive_timeout);
  const auto broken = [](const std::string& why) {
    return base::fail(base::ErrorKind::kInvalid, "the request's body is broken: " + why, kBadArguments);
  };
  while (body.size == size && !request.is_done()) {
    parser.stream.set_deadline(deadline);
    try {
      http::read_some(parser.stream, parser.buffer, request, error);
    } catch (const std::length_error&) {
      return broken("a trailer is larger than 64 KiB");
    }
    if (error == http::error::need_buffer) error = {};
    if (error == http::error::body_limit)
      return base::fail(base::ErrorKind::kInvalid,
                        fmt::format("the request's body is larger than {} bytes; send it in smaller parts",
                                    limits_.body_bytes_max),
                        kLimitExceeded);
    if (error == boost::system::errc::timed_out)
      return base::unavailable("Timeout exceeded while reading the request's body", kSocketTimeout);
    if (error == http::error::partial_message || error == http::error::end_of_stream ||
        error == boost::asio::error::connection_reset)
      return base::unavailable("the peer closed the connection before the end of the request's body",
                               kSocketTimeout);
    if (error) return broken(error.message());
  }
  const std::size_t got = size - body.size;
  body.data = nullptr;
  body.size = 0;
  return got;
}

bool HttpConnection::discard_body(std::size_t bytes_max) {
  if (!parser_->request) return false;
  // A peer that waits for "100 Continue" has not sent the body, and must not be asked for it now.
  if (expects_continue_) return parser_->request->is_done();
  char waste[16 << 10];
  for (std::size_t read_bytes = 0; !parser_->request->is_done() && read_bytes < bytes_max;) {
    const auto got = read(waste, sizeof waste);
    if (!got) return false;
    read_bytes += *got;
  }
  return parser_->request->is_done();
}

base::Result<void> HttpConnection::write_all(std::string_view bytes) {
  Deadline deadline = Deadline::in(limits_.send_timeout);
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      deadline = Deadline::in(limits_.send_timeout);
      continue;
    }
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
      return base::unavailable("the peer closed the connection");
    pollfd waiting{socket_, POLLOUT, 0};
    if (::poll(&waiting, 1, static_cast<int>(deadline.left().count())) == 0)
      return base::unavailable("the peer does not take the answer");
  }
  return {};
}

base::Result<void> HttpConnection::respond(int status, const Headers& headers, std::string_view body,
                                           bool keep_alive) {
  response_begun_ = true;
  std::string answer = head_of(status, headers, keep_alive);
  answer += fmt::format("Content-Length: {}\r\n\r\n", body.size());
  if (!head_only_) answer += body;
  return write_all(answer);
}

base::Result<void> HttpConnection::begin_chunks(int status, const Headers& headers, bool keep_alive) {
  response_begun_ = true;
  // HTTP/1.0 knows no chunks: there the end of the connection is the end of the answer.
  if (!knows_chunks_) return write_all(head_of(status, headers, false) + "\r\n");
  return write_all(head_of(status, headers, keep_alive) + "Transfer-Encoding: chunked\r\n\r\n");
}

base::Result<void> HttpConnection::write_chunk(std::string_view piece) {
  // An empty chunk would be the end.
  if (piece.empty() || head_only_) return {};
  if (!knows_chunks_) return write_all(piece);
  MILLRACE_TRY(write_all(fmt::format("{:x}\r\n", piece.size())));
  MILLRACE_TRY(write_all(piece));
  return write_all("\r\n");
}

base::Result<void> HttpConnection::end_chunks() {
  return head_only_ || !knows_chunks_ ? base::Result<void>{} : write_all("0\r\n\r\n");
}

std::string HttpConnection::peer_address() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      address.sin_family != AF_INET)
    return {};
  const std::uint32_t host = ntohl(address.sin_addr.s_addr);
  if (host >> 24 == 127) return "127.0.0.1";
  return fmt::format("{}.{}.{}.{}", host >> 24, host >> 16 & 255, host >> 8 & 255, host & 255);
}

bool HttpConnection::peer_gone() const {
  pollfd state{socket_, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void HttpConnection::end_idle_wait() {
  ::shutdown(socket_, SHUT_RD);
}

}  // namespace millrace::warehouse
