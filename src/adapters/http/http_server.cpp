#include "adapters/http/http_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
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
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/http/answer_text.h"
#include "adapters/http/target.h"
#include "base/text.h"
#include "base/url.h"
#include "web/body_reader.h"

namespace millrace::adapters::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 16 * 1024;
/// What a client may go on sending after it was refused, before it has read the answer.
constexpr std::size_t kLingerBytesMax = 16 * 1024 * 1024;
constexpr auto kLingerTime = std::chrono::seconds(2);
constexpr std::size_t kRefusalsMax = 64;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

web::HeadLimits head_limits(const HttpServerOptions& options) {
  web::HeadLimits limits;
  limits.head_bytes_max = options.header_bytes_max;
  limits.header_bytes_max = options.header_bytes_max;
  return limits;
}

/// What the parser lets through and this server does not.
std::optional<ports::HttpResponse> expectation_problem(const web::RequestHead& head) {
  const std::string* expect = head.header("expect");
  if (expect == nullptr || base::to_lower(*expect) == "100-continue") return std::nullopt;
  return ports::problem_response(417, "of the expectations only '100-continue' is supported");
}

ports::HttpRequest to_request(web::RequestHead head, Target target, std::string body) {
  ports::HttpRequest request;
  request.method = head.method == "HEAD" ? "GET" : std::move(head.method);
  request.path = std::move(target.path);
  request.query = std::move(target.query);
  request.headers = std::move(head.headers);
  request.body = std::move(body);
  return request;
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
    // Whatever a request does, it ends its connection at most.
    try {
      bool goes_on = !refused;
      if (refused)
        co_await refuse(unavailable_response("too many connections are open; try again in a moment"));
      while (goes_on && !core_.stopping) goes_on = co_await serve_one();
    } catch (const std::exception& failure) {
      spdlog::error("HTTP server: a request ended with an exception: {}", failure.what());
    }
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

  [[nodiscard]] std::string_view received() const {
    return {static_cast<const char*>(buffer_.data().data()), buffer_.size()};
  }

  /// What ended the reading of a request: the answer to refuse it with, or nothing if the client has gone.
  using Stopped = std::optional<ports::HttpResponse>;

  static Stopped stopped_by(Fill filled) {
    if (filled != Fill::kTimeout) return std::nullopt;
    return ports::problem_response(408,
                                   "the request did not arrive in time; send it faster or in smaller parts");
  }

  /// The head, or why there is none.
  asio::awaitable<std::expected<web::RequestHead, Stopped>> read_head() {
    const web::HeadLimits limits = head_limits(core_.options);
    web::HeadScanner scanner(limits);
    const auto deadline = SteadyClock::now() + core_.options.header_timeout;
    for (;;) {
      const auto span = scanner.scan(received());
      if (!span)
        co_return std::unexpected(ports::problem_response(span.error().vendor_code, span.error().message));
      if (*span) {
        auto head = web::parse_head(received().substr((*span)->begin, (*span)->end - (*span)->begin), limits);
        buffer_.consume((*span)->end);
        if (!head)
          co_return std::unexpected(ports::problem_response(head.error().vendor_code, head.error().message));
        co_return std::move(*head);
      }
      if (const Fill filled = co_await fill(deadline); filled != Fill::kGot)
        co_return std::unexpected(stopped_by(filled));
    }
  }

  /// The body, which grows with the bytes that come and not with what is announced.
  asio::awaitable<std::expected<std::string, Stopped>> read_body(const web::RequestHead& head) {
    std::string body;
    web::BodyReader reader(head, core_.options.body_bytes_max);
    if (reader.too_large())
      co_return std::unexpected(ports::problem_response(
          413, fmt::format("the body is larger than {} bytes; send it in smaller requests",
                           core_.options.body_bytes_max)));
    const auto deadline = SteadyClock::now() + core_.options.body_timeout;
    const std::string* expect = head.header("expect");
    if (!reader.done() && expect != nullptr && buffer_.size() == 0) {
      const bool told = co_await write("HTTP/1.1 100 Continue\r\n\r\n", {});
      if (!told) co_return std::unexpected(std::nullopt);
    }
    while (!reader.done()) {
      if (buffer_.size() == 0) {
        if (const Fill filled = co_await fill(deadline); filled != Fill::kGot)
          co_return std::unexpected(stopped_by(filled));
      }
      const std::size_t before = body.size();
      body.resize(before + buffer_.size());
      const auto step = reader.decode(received(), body.data() + before, buffer_.size());
      if (!step)
        co_return std::unexpected(ports::problem_response(step.error().vendor_code, step.error().message));
      body.resize(before + step->made);
      buffer_.consume(step->taken);
    }
    co_return body;
  }

  /// One request and its answer. False: the connection ends.
  asio::awaitable<bool> serve_one() {
    const HttpServerOptions& options = core_.options;
    is_running_ = false;
    if (buffer_.size() == 0) {
      const Fill filled = co_await fill(SteadyClock::now() + options.idle_timeout);
      if (filled != Fill::kGot) co_return false;
    }
    auto head = co_await read_head();
    if (!head) {
      if (!head.error()) co_return false;
      co_return co_await refuse(std::move(*head.error()));
    }
    is_running_ = true;

    web::Access access = web::check_access(options.access, *head);
    if (access.refusal) {
      ports::HttpResponse refusal = options.refuse(access.refusal->status, access.refusal->message);
      std::ranges::move(access.headers, std::back_inserter(refusal.headers));
      co_return co_await refuse(std::move(refusal));
    }
    if (auto bad = expectation_problem(*head)) co_return co_await refuse(std::move(*bad));
    auto target = parse_target(head->target);
    if (!target) co_return co_await refuse(ports::problem_response(400, target.error().message));

    auto body = co_await read_body(*head);
    if (!body) {
      if (!body.error()) co_return false;
      co_return co_await refuse(std::move(*body.error()));
    }

    const bool is_head = head->method == "HEAD";
    const bool is_http10 = head->minor_version < 1;
    const bool wants_more = head->keep_alive;
    std::optional<ports::HttpResponse> response;
    if (access.is_preflight) {
      response.emplace().status = 204;
    } else if (const auto problem = web::check_json_body(*head); problem && options.json_bodies_only) {
      response = options.refuse(415, *problem);
    } else {
      response = co_await ask_handler(to_request(std::move(*head), std::move(*target), std::move(*body)));
    }
    if (!response)
      co_return co_await refuse(
          unavailable_response("the answer took too long; the request may still be carried out"));
    std::ranges::move(access.headers, std::back_inserter(response->headers));
    const bool keep_alive = wants_more && !core_.stopping;
    std::string text = head_text(*response, keep_alive, is_http10);
    if (is_head || response->status == 204 || response->status == 304) response->body.clear();
    const bool written = co_await write(std::move(text), std::move(response->body));
    co_return (written && keep_alive);
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
    const std::string where = "cannot listen on " + base::host_and_port(options.host, options.port);
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
    try {
      admit(std::move(socket));
    } catch (const std::exception& failure) {
      spdlog::error("HTTP server: cannot serve a connection: {}", failure.what());
    }
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
  if (options.access.listen_host.empty()) options.access.listen_host = options.host;
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
