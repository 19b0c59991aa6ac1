#include "adapters/http/connection.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/http/answer_text.h"
#include "adapters/http/target.h"
#include "base/exceptions.h"
#include "base/text.h"
#include "web/access.h"
#include "web/body_reader.h"

namespace millrace::adapters::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

/// What a client may go on sending after it was refused, before it has read the answer.
constexpr std::size_t kLingerBytesMax = 16 * 1024 * 1024;
constexpr auto kLingerTime = std::chrono::seconds(2);

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

struct Connection::Exchange {
  explicit Exchange(const asio::any_io_executor& executor) : arrived(executor) {}
  asio::steady_timer arrived;  ///< Cancelled when the answer is there.
  std::optional<ports::HttpResponse> response;
};

Connection::Connection(Listener& listener, asio::ip::tcp::socket socket, bool is_refused)
    : refused(is_refused),
      listener_(listener),
      socket_(std::make_shared<TimedSocket>(std::move(socket), listener.options.header_bytes_max)) {}

asio::awaitable<void> Connection::serve() {
  // Whatever a request does, it ends its connection at most.
  try {
    co_await serve_all();
  } catch (const std::exception& failure) {
    spdlog::error("HTTP server: a request ended with an exception: {}",
                  base::count_exception(failure.what()));
  }
  socket_->close();
}

asio::awaitable<void> Connection::serve_all() {
  bool goes_on = !refused;
  if (refused) co_await refuse(unavailable_response("too many connections are open; try again in a moment"));
  while (goes_on && !listener_.stopping) goes_on = co_await serve_one();
}

asio::awaitable<bool> Connection::write(std::string head, std::string body) {
  return socket_->write(std::move(head), std::move(body),
                        SteadyClock::now() + listener_.options.write_timeout);
}

void Connection::tell_answered(const ports::HttpResponse& response) const {
  const auto& tell = listener_.options.on_answered;
  if (!tell) return;
  const Answered answered{.route = response.route,
                          .verb = verb_,
                          .status = response.status,
                          .duration = SteadyClock::now() - began_};
  if (const auto thrown = base::exception_of([&] { tell(answered); }))
    spdlog::error("HTTP server: an answer could not be counted: {}", *thrown);
}

/// Answers and ends the connection, reading on for a while: closing with unread bytes would reset the
/// connection and take the answer from a client that is still sending.
asio::awaitable<bool> Connection::refuse(ports::HttpResponse response) {
  tell_answered(response);
  const bool written = co_await write(head_text(response, false, false), std::move(response.body));
  if (!written) co_return false;
  is_running_ = false;
  socket_->end_sending();
  const auto until = SteadyClock::now() + kLingerTime;
  for (std::size_t taken = 0; taken < kLingerBytesMax && !listener_.stopping;
       taken += socket_->received().size()) {
    socket_->consume(socket_->received().size());
    const Fill filled = co_await socket_->fill(until);
    if (filled != Fill::kGot) break;
  }
  co_return false;
}

Connection::Stopped Connection::stopped_by(Fill filled) {
  if (filled != Fill::kTimeout) return std::nullopt;
  return ports::problem_response(408,
                                 "the request did not arrive in time; send it faster or in smaller parts");
}

/// The head, or why there is none.
asio::awaitable<std::expected<web::RequestHead, Connection::Stopped>> Connection::read_head() {
  const web::HeadLimits limits = head_limits(listener_.options);
  web::HeadScanner scanner(limits);
  const auto deadline = SteadyClock::now() + listener_.options.header_timeout;
  for (;;) {
    const auto span = scanner.scan(socket_->received());
    if (!span)
      co_return std::unexpected(ports::problem_response(span.error().vendor_code, span.error().message));
    if (*span) {
      auto head =
          web::parse_head(socket_->received().substr((*span)->begin, (*span)->end - (*span)->begin), limits);
      socket_->consume((*span)->end);
      if (!head)
        co_return std::unexpected(ports::problem_response(head.error().vendor_code, head.error().message));
      co_return std::move(*head);
    }
    if (const Fill filled = co_await socket_->fill(deadline); filled != Fill::kGot)
      co_return std::unexpected(stopped_by(filled));
  }
}

/// The body, which grows with the bytes that come and not with what is announced.
asio::awaitable<std::expected<std::string, Connection::Stopped>> Connection::read_body(
    const web::RequestHead& head) {
  std::string body;
  web::BodyReader reader(head, listener_.options.body_bytes_max);
  if (reader.too_large())
    co_return std::unexpected(ports::problem_response(
        413, fmt::format("the body is larger than {} bytes; send it in smaller requests",
                         listener_.options.body_bytes_max)));
  const auto deadline = SteadyClock::now() + listener_.options.body_timeout;
  const std::string* expect = head.header("expect");
  if (!reader.done() && expect != nullptr && socket_->received().empty()) {
    const bool told = co_await write("HTTP/1.1 100 Continue\r\n\r\n", {});
    if (!told) co_return std::unexpected(std::nullopt);
  }
  while (!reader.done()) {
    if (socket_->received().empty()) {
      if (const Fill filled = co_await socket_->fill(deadline); filled != Fill::kGot)
        co_return std::unexpected(stopped_by(filled));
    }
    const std::size_t before = body.size();
    body.resize(before + socket_->received().size());
    const auto step = reader.decode(socket_->received(), body.data() + before, socket_->received().size());
    if (!step)
      co_return std::unexpected(ports::problem_response(step.error().vendor_code, step.error().message));
    body.resize(before + step->made);
    socket_->consume(step->taken);
  }
  co_return body;
}

/// One request and its answer. False: the connection ends.
asio::awaitable<bool> Connection::serve_one() {
  const HttpServerOptions& options = listener_.options;
  is_running_ = false;
  if (socket_->received().empty()) {
    const Fill filled = co_await socket_->fill(SteadyClock::now() + options.idle_timeout);
    if (filled != Fill::kGot) co_return false;
  }
  verb_.clear();
  began_ = SteadyClock::now();
  auto head = co_await read_head();
  if (!head) {
    if (!head.error()) co_return false;
    co_return co_await refuse(std::move(*head.error()));
  }
  is_running_ = true;
  verb_ = head->method;
  began_ = SteadyClock::now();

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

  began_ = SteadyClock::now();
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
  tell_answered(*response);
  const bool keep_alive = wants_more && !listener_.stopping;
  std::string text = head_text(*response, keep_alive, is_http10);
  if (is_head || response->status == 204 || response->status == 304) response->body.clear();
  const bool written = co_await write(std::move(text), std::move(response->body));
  co_return (written && keep_alive);
}

/// Hands the request on; the answer goes to the exchange, from whatever thread.
void Connection::hand_on(ports::HttpRequest request, const std::shared_ptr<Exchange>& exchange) {
  // The listener comes first and so goes last: the exchange's timer must not outlive the io_context.
  auto reply = [listener = listener_.shared_from_this(), exchange](ports::HttpResponse response) {
    asio::dispatch(exchange->arrived.get_executor(), [exchange, answer = std::move(response)]() mutable {
      if (exchange->response) return;
      exchange->response = std::move(answer);
      exchange->arrived.cancel();
    });
  };
  const auto thrown =
      base::exception_of([&] { listener_.handler.handle(std::move(request), std::move(reply)); });
  if (!thrown) return;
  spdlog::error("HTTP handler: an exception: {}", *thrown);
  exchange->response =
      ports::problem_response(500, "the server failed to handle the request; its log says more");
}

/// Nothing if the handler did not answer in time.
asio::awaitable<std::optional<ports::HttpResponse>> Connection::ask_handler(ports::HttpRequest request) {
  const auto exchange = std::make_shared<Exchange>(socket_->executor());
  exchange->arrived.expires_after(listener_.options.reply_timeout);
  hand_on(std::move(request), exchange);
  if (!exchange->response) {
    error_code ignored;
    co_await exchange->arrived.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return std::move(exchange->response);
}

}  // namespace millrace::adapters::http
