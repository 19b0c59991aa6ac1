#include "adapters/http/http_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/http/target.h"
#include "base/text.h"

namespace millrace::adapters::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;
using Parser = bhttp::request_parser<bhttp::string_body>;

constexpr std::size_t kReadBytes = 16 * 1024;
/// What a client may go on sending after it was refused, before it has read the answer.
constexpr std::size_t kLingerBytesMax = 16 * 1024 * 1024;
constexpr auto kLingerTime = std::chrono::seconds(2);
constexpr std::size_t kRefusalsMax = 64;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

std::string http_date() {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(std::time(nullptr)));
}

bool holds_line_break(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

/// The head of an answer. HTTP/1.0 clients keep a connection only when told so, 1.1 clients unless told
/// otherwise.
std::string head_text(const ports::HttpResponse& response, bool keep_alive, bool is_http10) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\nServer: millrace\r\n", response.status,
                                 ports::reason_phrase(response.status), http_date());
  const bool may_have_body = response.status >= 200 && response.status != 204 && response.status != 304;
  if (may_have_body) {
    if (!response.body.empty() && !response.content_type.empty())
      fmt::format_to(std::back_inserter(head), "Content-Type: {}\r\nX-Content-Type-Options: nosniff\r\n",
                     response.content_type);
    fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", response.body.size());
  }
  for (const auto& [name, value] : response.headers) {
    // A line break inside would let a value end the head and begin an answer of its own.
    if (holds_line_break(name) || holds_line_break(value)) continue;
    fmt::format_to(std::back_inserter(head), "{}: {}\r\n", name, value);
  }
  if (!keep_alive)
    head += "Connection: close\r\n";
  else if (is_http10)
    head += "Connection: keep-alive\r\n";
  head += "\r\n";
  return head;
}

ports::HttpResponse unavailable_response(std::string_view detail) {
  ports::HttpResponse response = ports::problem_response(503, detail);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

/// What to answer when the parser gave up.
ports::HttpResponse parse_failure(const error_code& error, const Parser& parser,
                                  const HttpServerOptions& options) {
  if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
    if (parser.get().target().empty())
      return ports::problem_response(
          414, fmt::format("the request line is longer than {} bytes", options.header_bytes_max));
    return ports::problem_response(
        431, fmt::format("the request header is larger than {} bytes", options.header_bytes_max));
  }
  if (error == bhttp::error::body_limit)
    return ports::problem_response(
        413,
        fmt::format("the body is larger than {} bytes; send it in smaller requests", options.body_bytes_max));
  if (error == bhttp::error::bad_version)
    return ports::problem_response(505, "this server speaks HTTP/1.1 and HTTP/1.0");
  return ports::problem_response(400, fmt::format("this is not an HTTP/1.1 request: {}", error.message()));
}

}  // namespace

/// All that lives as long as the I/O goes on. A reply that comes after the stop keeps it alive, so that it
/// finds a (halted) io_context to go to.
class HttpServer::Core : public std::enable_shared_from_this<Core> {
 public:
  class Connection;
  /// Where the handler's answer meets the waiting connection.
  struct Exchange;

  Core(ports::HttpHandler& request_handler, HttpServerOptions server_options)
      : options(std::move(server_options)), handler(request_handler), acceptor(asio::make_strand(context)) {}

  base::Result<void> listen();
  void run();
  bool stop(base::Deadline deadline);

  void remove(Connection* connection);

 private:
  asio::awaitable<void> accept_loop();
  void admit(tcp::socket socket);
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
  asio::io_context context;
  tcp::acceptor acceptor;
  std::uint16_t port = 0;
};

struct HttpServer::Core::Exchange {
  explicit Exchange(const asio::any_io_executor& executor) : arrived(executor) {}
  asio::steady_timer arrived;  ///< Cancelled when the answer is there.
  std::optional<ports::HttpResponse> response;
};

/// One client. Everything runs on the strand of its socket.
class HttpServer::Core::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Core& core, tcp::socket socket, bool is_refused)
      : refused(is_refused),
        core_(core),
        socket_(std::move(socket)),
        watch_(socket_.get_executor()),
        buffer_(core.options.header_bytes_max + 4 * kReadBytes) {}
  ~Connection() { core_.remove(this); }

  [[nodiscard]] asio::any_io_executor executor() { return socket_.get_executor(); }

  asio::awaitable<void> serve() {
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    bool goes_on = !refused;
    if (refused)
      co_await refuse(unavailable_response("too many connections are open; try again in a moment"));
    while (goes_on && !core_.stopping) goes_on = co_await serve_one();
    deadline_ = SteadyClock::time_point::max();
    watch_.cancel();
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

  const bool refused;  ///< Beyond the bound: it only gets told so.

  /// Only when no thread runs the io_context any more.
  void cut_off() {
    error_code ignored;
    socket_.close(ignored);
  }

  /// Closes the connection unless a request is running.
  void wind_down() {
    error_code ignored;
    if (!is_running_) socket_.cancel(ignored);
  }

 private:
  enum class Fill { kGot, kEnd, kTimeout };

  // The watch fires at or before the deadline and is set anew only then, so that moving the deadline costs
  // nothing.
  void set_deadline(SteadyClock::time_point moment) {
    deadline_ = moment;
    timed_out_ = false;
    if (!is_armed_ || moment < armed_for_) arm(moment);
  }
  void arm(SteadyClock::time_point moment) {
    is_armed_ = true;
    armed_for_ = moment;
    watch_.expires_at(moment);
    watch_.async_wait([self = shared_from_this()](const error_code& error) {
      if (error) return;
      self->is_armed_ = false;
      if (self->deadline_ == SteadyClock::time_point::max()) return;
      if (SteadyClock::now() < self->deadline_) return self->arm(self->deadline_);
      self->timed_out_ = true;
      error_code ignored;
      self->socket_.cancel(ignored);
    });
  }
  void clear_deadline() { deadline_ = SteadyClock::time_point::max(); }

  /// Waits for more bytes.
  asio::awaitable<Fill> fill(SteadyClock::time_point deadline) {
    error_code error;
    set_deadline(deadline);
    const std::size_t got = co_await socket_.async_read_some(
        buffer_.prepare(kReadBytes), asio::redirect_error(asio::use_awaitable, error));
    clear_deadline();
    if (!error) {
      buffer_.commit(got);
      co_return Fill::kGot;
    }
    co_return timed_out_ ? Fill::kTimeout : Fill::kEnd;
  }

  asio::awaitable<bool> write(std::string head, std::string body) {
    const std::array<asio::const_buffer, 2> parts{asio::buffer(head), asio::buffer(body)};
    error_code error;
    set_deadline(SteadyClock::now() + core_.options.write_timeout);
    co_await asio::async_write(socket_, parts, asio::redirect_error(asio::use_awaitable, error));
    clear_deadline();
    co_return !error;
  }

  /// Answers and ends the connection, reading on for a while: closing with unread bytes would reset the
  /// connection and take the answer from a client that is still sending.
  asio::awaitable<bool> refuse(ports::HttpResponse response) {
    const bool written = co_await write(head_text(response, false, false), std::move(response.body));
    if (!written) co_return false;
    is_running_ = false;
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    const auto until = SteadyClock::now() + kLingerTime;
    for (std::size_t taken = 0; taken < kLingerBytesMax && !core_.stopping; taken += buffer_.size()) {
      buffer_.clear();
      const Fill filled = co_await fill(until);
      if (filled != Fill::kGot) break;
    }
    co_return false;
  }

  /// Feeds the parser until `is_done`. Nothing: done. Else the answer to refuse with; with status 0 the
  /// client has gone.
  template <class IsDone>
  asio::awaitable<std::optional<ports::HttpResponse>> parse(Parser& parser, SteadyClock::time_point deadline,
                                                            IsDone is_done) {
    while (!is_done()) {
      if (buffer_.size() > 0) {
        error_code error;
        const std::size_t used = parser.put(buffer_.data(), error);
        buffer_.consume(used);
        if (error && error != bhttp::error::need_more) co_return parse_failure(error, parser, core_.options);
        if (is_done()) break;
        if (!error && used > 0) continue;
        if (buffer_.size() > core_.options.header_bytes_max)
          co_return ports::problem_response(400, "a chunk's header of the body is too long");
      }
      const Fill filled = co_await fill(deadline);
      if (filled == Fill::kTimeout)
        co_return ports::problem_response(
            408, "the request did not arrive in time; send it faster or in smaller parts");
      if (filled == Fill::kEnd) {
        ports::HttpResponse gone;
        gone.status = 0;
        co_return gone;
      }
    }
    co_return std::nullopt;
  }

  /// One request and its answer. False: the connection ends.
  asio::awaitable<bool> serve_one() {
    const HttpServerOptions& options = core_.options;
    is_running_ = false;
    if (buffer_.size() == 0) {
      const Fill filled = co_await fill(SteadyClock::now() + options.idle_timeout);
      if (filled != Fill::kGot) co_return false;
    }

    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
    parser.body_limit(options.body_bytes_max);
    if (auto bad = co_await parse(parser, SteadyClock::now() + options.header_timeout,
                                  [&] { return parser.is_header_done(); })) {
      if (bad->status == 0) co_return false;
      co_return co_await refuse(std::move(*bad));
    }
    is_running_ = true;

    if (auto bad = check_header(parser)) co_return co_await refuse(std::move(*bad));
    auto target = parse_target(parser.get().target());
    if (!target) co_return co_await refuse(ports::problem_response(400, target.error().message));

    if (!parser.is_done()) {
      if (beast::iequals(parser.get()[bhttp::field::expect], "100-continue") && buffer_.size() == 0) {
        const bool told = co_await write("HTTP/1.1 100 Continue\r\n\r\n", {});
        if (!told) co_return false;
      }
      parser.eager(true);
      if (auto bad = co_await parse(parser, SteadyClock::now() + options.body_timeout,
                                    [&] { return parser.is_done(); })) {
        if (bad->status == 0) co_return false;
        co_return co_await refuse(std::move(*bad));
      }
    }

    const bool is_head = parser.get().method() == bhttp::verb::head;
    const bool is_http10 = parser.get().version() < 11;
    const bool wants_more = parser.get().keep_alive();
    std::optional<ports::HttpResponse> response =
        co_await ask_handler(to_request(parser, std::move(*target), is_head));
    if (!response)
      co_return co_await refuse(
          unavailable_response("the answer took too long; the request may still be carried out"));
    const bool keep_alive = wants_more && !core_.stopping;
    std::string head = head_text(*response, keep_alive, is_http10);
    if (is_head || response->status == 204 || response->status == 304) response->body.clear();
    const bool written = co_await write(std::move(head), std::move(response->body));
    co_return (written && keep_alive);
  }

  /// What the parser lets through and this server does not.
  static std::optional<ports::HttpResponse> check_header(const Parser& parser) {
    const auto& message = parser.get();
    switch (message.method()) {
      case bhttp::verb::get:
      case bhttp::verb::head:
      case bhttp::verb::post:
      case bhttp::verb::put:
      case bhttp::verb::patch:
      case bhttp::verb::delete_:
      case bhttp::verb::options:
        break;
      default:
        return ports::problem_response(501, fmt::format("the method '{}' is not supported",
                                                        base::printable(message.method_string(), 20)));
    }
    const auto hosts = message.count(bhttp::field::host);
    if (hosts > 1 || (hosts == 0 && message.version() >= 11))
      return ports::problem_response(400, "an HTTP/1.1 request has exactly one Host header");
    if (message.count(bhttp::field::transfer_encoding) > 0 && !parser.chunked())
      return ports::problem_response(501, "of the transfer encodings only 'chunked' is supported");
    if (const auto expect = message[bhttp::field::expect];
        !expect.empty() && !beast::iequals(expect, "100-continue"))
      return ports::problem_response(417, "of the expectations only '100-continue' is supported");
    return std::nullopt;
  }

  static ports::HttpRequest to_request(Parser& parser, Target target, bool is_head) {
    auto& message = parser.get();
    ports::HttpRequest request;
    request.method = is_head ? std::string("GET") : std::string(message.method_string());
    request.path = std::move(target.path);
    request.query = std::move(target.query);
    for (const auto& field : message)
      request.headers.emplace_back(base::to_lower(field.name_string()), std::string(field.value()));
    request.body = std::move(message.body());
    return request;
  }

  /// Nothing if the handler did not answer in time.
  asio::awaitable<std::optional<ports::HttpResponse>> ask_handler(ports::HttpRequest request) {
    auto exchange = std::make_shared<Exchange>(socket_.get_executor());
    exchange->arrived.expires_after(core_.options.reply_timeout);
    // The core comes first and so goes last: the exchange's timer must not outlive the io_context.
    auto reply = [core = core_.shared_from_this(), exchange](ports::HttpResponse response) {
      asio::dispatch(exchange->arrived.get_executor(), [exchange, answer = std::move(response)]() mutable {
        if (exchange->response) return;
        exchange->response = std::move(answer);
        exchange->arrived.cancel();
      });
    };
    try {
      core_.handler.handle(std::move(request), std::move(reply));
    } catch (const std::exception& failure) {
      spdlog::error("HTTP handler: {}", failure.what());
      exchange->response =
          ports::problem_response(500, "the server failed to handle the request; its log says more");
    }
    if (!exchange->response) {
      error_code ignored;
      co_await exchange->arrived.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    co_return std::move(exchange->response);
  }

  Core& core_;
  tcp::socket socket_;
  asio::steady_timer watch_;
  SteadyClock::time_point deadline_ = SteadyClock::time_point::max();
  SteadyClock::time_point armed_for_{};
  bool is_armed_ = false;
  bool timed_out_ = false;
  bool is_running_ = false;  ///< A request's header is complete and its answer not yet written.
  beast::flat_buffer buffer_;
};

base::Result<void> HttpServer::Core::listen() {
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
    const std::string where = fmt::format("cannot listen on {}:{}", options.host, options.port);
    if (error == asio::error::address_in_use)
      return base::conflict(where + ": the port is in use; stop the other program or set another port");
    return base::fail(base::ErrorKind::kFatal, where + ": " + error.message(), error.value());
  }
  port = acceptor.local_endpoint(error).port();
  return {};
}

void HttpServer::Core::run() {
  asio::co_spawn(acceptor.get_executor(), accept_loop(), asio::detached);
  const std::size_t count = std::max<std::size_t>(1, options.threads);
  for (std::size_t i = 0; i < count; ++i) {
    threads_.emplace_back([this] {
      while (!context.stopped()) {
        try {
          context.run();
        } catch (const std::exception& failure) {
          spdlog::error("HTTP server: {}", failure.what());
        }
      }
    });
  }
}

asio::awaitable<void> HttpServer::Core::accept_loop() {
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
    admit(std::move(socket));
  }
}

void HttpServer::Core::admit(tcp::socket socket) {
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

void HttpServer::Core::remove(Connection* connection) {
  {
    const std::lock_guard lock(mutex_);
    if (connections_.erase(connection) > 0 && connection->refused) --refusals_;
  }
  one_left_.notify_all();
}

std::vector<std::shared_ptr<HttpServer::Core::Connection>> HttpServer::Core::open_connections() {
  std::vector<std::shared_ptr<Connection>> open;
  const std::lock_guard lock(mutex_);
  for (const auto& [address, connection] : connections_)
    if (auto one = connection.lock()) open.push_back(std::move(one));
  return open;
}

bool HttpServer::Core::stop(base::Deadline deadline) {
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

HttpServer::HttpServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}

HttpServer::~HttpServer() {
  stop(base::Deadline::in(std::chrono::seconds(1)));
}

base::Result<std::unique_ptr<HttpServer>> HttpServer::start(ports::HttpHandler& handler,
                                                            HttpServerOptions options) {
  try {
    auto core = std::make_shared<Core>(handler, std::move(options));
    MILLRACE_TRY(core->listen());
    core->run();
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
  } catch (const std::exception& failure) {
    return base::fatal(fmt::format("cannot start the HTTP server: {}", failure.what()));
  }
}

std::uint16_t HttpServer::port() const {
  return core_->port;
}

bool HttpServer::stop(base::Deadline deadline) {
  return core_->stop(deadline);
}

}  // namespace millrace::adapters::http
