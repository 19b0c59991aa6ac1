#include "warehouse/http_connection.h"

#include <algorithm>
#include <cerrno>

#include <arpa/inet.h>
#include <boost/beast/http/status.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "base/url.h"
#include "warehouse/error_code.h"
#include "web/access.h"

namespace millrace::warehouse {
namespace {

namespace http = boost::beast::http;
using base::Deadline;

constexpr std::size_t kReceiveBytes = 64u << 10;
constexpr std::size_t kSendBytes = 64u << 10;
constexpr std::size_t kHeaderBytesMax = 16u << 10;
constexpr std::chrono::milliseconds kDiscardTimeout{5'000};
/// How often a wait looks whether it has to end for the sake of others.
constexpr std::chrono::milliseconds kLookAround{100};

std::string_view reason(int status) {
  const auto known = http::int_to_status(static_cast<unsigned>(status));
  return {http::obsolete_reason(known).data(), http::obsolete_reason(known).size()};
}

web::HeadLimits head_limits(const HttpLimits& limits) {
  web::HeadLimits head;
  head.head_bytes_max = limits.header_bytes_max;
  head.header_bytes_max = kHeaderBytesMax;
  return head;
}

base::Result<HttpRequest> read_url(web::RequestHead head) {
  HttpRequest request;
  static_cast<web::RequestHead&>(request) = std::move(head);
  const auto bad_url = [](const base::Error& why) {
    return base::fail(base::ErrorKind::kInvalid, why.message, 400);
  };
  const std::string_view target = request.target;
  const auto question = std::min(target.find('?'), target.size());
  // Bytes as they come: a statement in the address may hold any, line feeds included.
  auto path = base::percent_decoded(target.substr(0, question), true);
  if (!path) return bad_url(path.error());
  request.path = std::move(*path);
  auto parameters = base::parse_query(target.substr(std::min(question + 1, target.size())));
  if (!parameters) return bad_url(parameters.error());
  request.parameters = std::move(*parameters);
  std::erase_if(request.parameters, [](const auto& parameter) { return parameter.first.empty(); });
  return request;
}

std::string address_of(int socket) {
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  char text[INET_ADDRSTRLEN] = {};
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0 || peer.sin_family != AF_INET ||
      ::inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text) == nullptr)
    return {};
  return text;
}

}  // namespace

const std::string* HttpRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters)
    if (key == name) return &value;
  return nullptr;
}

HttpConnection::HttpConnection(int socket, const HttpLimits& limits)
    : socket_(socket), limits_(limits), peer_address_(address_of(socket)) {}

HttpConnection::~HttpConnection() {
  // Closing over unread bytes would reset the connection, and the peer would lose the answer that says why.
  if (response_begun_ && (is_broken_ || !body_.done())) {
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

void HttpConnection::consume(std::size_t count) {
  begin_ += count;
  if (begin_ < buffer_.size()) return;
  buffer_.clear();
  begin_ = 0;
}

bool HttpConnection::wait_for(short events, Deadline deadline) {
  pollfd waiting{socket_, events, 0};
  if (wait_ == nullptr) {
    static_cast<void>(::poll(&waiting, 1, static_cast<int>(deadline.left().count())));
    return true;
  }
  wait_->begin();
  while (!wait_->has_to_end()) {
    const auto slice = std::min(kLookAround, deadline.left());
    if (::poll(&waiting, 1, static_cast<int>(slice.count())) > 0 || deadline.passed()) break;
  }
  return wait_->end(std::exchange(moved_, 0));
}

HttpConnection::Received HttpConnection::receive(Deadline deadline) {
  buffer_.erase(0, std::exchange(begin_, 0));
  const std::size_t before = buffer_.size();
  buffer_.resize(before + kReceiveBytes);
  Received outcome = Received::kTimeout;
  for (;;) {
    const ssize_t got = ::recv(socket_, buffer_.data() + before, kReceiveBytes, MSG_DONTWAIT);
    if (got >= 0) {
      buffer_.resize(before + static_cast<std::size_t>(got));
      moved_ += static_cast<std::uint64_t>(got);
      return got > 0 ? Received::kSome : Received::kEnd;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      outcome = Received::kEnd;
      break;
    }
    if (deadline.passed()) break;
    if (!wait_for(POLLIN, deadline)) {
      outcome = Received::kGaveWay;
      break;
    }
  }
  buffer_.resize(before);
  return outcome;
}

/// Nothing: the peer left, or stayed idle for too long.
base::Result<std::optional<web::RequestHead>> HttpConnection::read_head() {
  if (received().empty() && receive(Deadline::in(limits_.idle_timeout)) != Received::kSome)
    return std::optional<web::RequestHead>{};
  const web::HeadLimits limits = head_limits(limits_);
  web::HeadScanner scanner(limits);
  const Deadline deadline = Deadline::in(limits_.header_timeout);
  for (;;) {
    MILLRACE_TRY_ASSIGN(const auto span, scanner.scan(received()));
    if (span) {
      auto head = web::parse_head(received().substr(span->begin, span->end - span->begin), limits);
      consume(span->end);
      if (!head) return std::unexpected(head.error());
      return std::optional(std::move(*head));
    }
    const Received more = receive(deadline);
    if (more == Received::kTimeout)
      return base::fail(base::ErrorKind::kInvalid, "the request's headers did not come in time", 408);
    if (more != Received::kSome) return std::optional<web::RequestHead>{};
  }
}

base::Result<std::optional<HttpRequest>> HttpConnection::read_request() {
  response_begun_ = false;
  expects_continue_ = false;
  head_only_ = false;
  answer_headers_.clear();
  is_broken_ = true;  // until the head is understood
  body_ = {};
  MILLRACE_TRY_ASSIGN(auto head, read_head());
  if (!head) return std::optional<HttpRequest>{};
  MILLRACE_TRY_ASSIGN(HttpRequest request, read_url(std::move(*head)));
  body_ = web::BodyReader(request, limits_.body_bytes_max);
  if (body_.too_large())
    return base::fail(base::ErrorKind::kInvalid,
                      fmt::format("the request's body is larger than {} bytes; send it in smaller parts",
                                  limits_.body_bytes_max),
                      413);
  if (const std::string* expect = request.header("expect"); expect != nullptr)
    expects_continue_ = base::to_lower(*expect) == "100-continue";
  head_only_ = request.method == "HEAD";
  knows_chunks_ = request.minor_version >= 1;
  request.keep_alive = request.keep_alive && request.minor_version >= 1;
  is_broken_ = false;
  return std::optional(std::move(request));
}

base::Result<std::size_t> HttpConnection::read(char* into, std::size_t size) {
  return read_until(into, size, Deadline::in(limits_.receive_timeout));
}

base::Result<std::size_t> HttpConnection::read_until(char* into, std::size_t size, Deadline deadline) {
  while (!body_.done()) {
    if (received().empty()) {
      if (std::exchange(expects_continue_, false)) MILLRACE_TRY(write_all("HTTP/1.1 100 Continue\r\n\r\n"));
      const Received more = receive(deadline);
      if (more == Received::kTimeout)
        return base::unavailable("Timeout exceeded while reading the request's body", kSocketTimeout);
      if (more == Received::kGaveWay)
        return base::unavailable(
            "Too many simultaneous queries: this one came too slowly and gave way to others",
            kTooManySimultaneousQueries);
      if (more == Received::kEnd)
        return base::unavailable("the peer closed the connection before the end of the request's body",
                                 kSocketTimeout);
    }
    const auto step = body_.decode(received(), into, size);
    if (!step) {
      is_broken_ = true;
      return base::fail(base::ErrorKind::kInvalid, step.error().message,
                        step.error().vendor_code == 413 ? kLimitExceeded : kBadArguments);
    }
    consume(step->taken);
    if (step->made > 0) return step->made;
  }
  return std::size_t{0};
}

bool HttpConnection::discard_body(std::size_t bytes_max) {
  if (is_broken_) return false;
  // A peer that waits for "100 Continue" has not sent the body, and must not be asked for it now.
  if (expects_continue_) return body_.done();
  char waste[16 << 10];
  // A total: whoever sends a byte now and then would stay for as long as he likes.
  const Deadline deadline = Deadline::in(std::min(limits_.receive_timeout, kDiscardTimeout));
  for (std::size_t read_bytes = 0; !body_.done() && read_bytes < bytes_max;) {
    const auto got = read_until(waste, sizeof waste, deadline);
    if (!got) return false;
    read_bytes += *got;
  }
  return body_.done();
}

base::Result<void> HttpConnection::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    MILLRACE_TRY(write_piece(bytes.substr(0, kSendBytes)));
    bytes.remove_prefix(std::min(kSendBytes, bytes.size()));
  }
  return {};
}

base::Result<void> HttpConnection::write_piece(std::string_view bytes) {
  const Deadline deadline = Deadline::in(limits_.send_timeout);
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      moved_ += static_cast<std::uint64_t>(sent);
      continue;
    }
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
      return base::unavailable("the peer closed the connection");
    if (deadline.passed()) return base::unavailable("the peer does not take the answer");
    if (!wait_for(POLLOUT, deadline))
      return base::unavailable(
          "Too many simultaneous queries: this one's answer was taken too slowly and gave way to others",
          kTooManySimultaneousQueries);
  }
  return {};
}

std::string HttpConnection::head_of(int status, const Headers& headers, bool keep_alive) const {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nConnection: {}\r\n", status, reason(status),
                                 keep_alive ? "Keep-Alive" : "close");
  std::string_view content_type;
  for (const Headers* some : {&headers, &answer_headers_}) {
    for (const auto& [name, value] : *some) {
      if (name == "Content-Type") content_type = value;
      head += name;
      head += ": ";
      // A line end in a value would let it add headers of its own.
      for (const char c : value)
        if (c != '\r' && c != '\n' && c != '\0') head += c;
      head += "\r\n";
    }
  }
  return head + web::security_headers(content_type);
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

bool HttpConnection::peer_gone() const {
  pollfd state{socket_, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void HttpConnection::end_idle_wait() {
  ::shutdown(socket_, SHUT_RD);
}

}  // namespace millrace::warehouse
