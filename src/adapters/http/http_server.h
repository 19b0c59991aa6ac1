// An HTTP/1.1 server on its own threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/result.h"
#include "ports/http.h"
#include "web/access.h"

namespace millrace::adapters::http {

class Listener;

/// One answer, for measurements. The texts are valid during the call only, but for `route`.
struct Answered {
  std::string_view route;  ///< Its pattern, such as "/api/orders/{id}"; empty: the request reached none.
  std::string_view verb;   ///< "GET" and so on; empty: the request's head could not be read.
  int status = 0;
  /// From the request's last byte to the answer's first: without the time that the client takes.
  std::chrono::nanoseconds duration{};
};

struct HttpServerOptions {
  std::string host = "127.0.0.1";  ///< An IP address, or "localhost".
  std::uint16_t port = 3000;       ///< 0: a free one, see `port()`.
  std::size_t threads = 1;
  std::size_t header_bytes_max =
      16 * 1024;  ///< Request line included; more: 431, or 414 if the request line alone is longer.
  std::size_t body_bytes_max = 1024 * 1024;          ///< More: 413.
  std::size_t connections_max = 1024;                ///< Further ones are answered with 503 and closed.
  std::chrono::milliseconds idle_timeout{60'000};    ///< Between two requests of a connection.
  std::chrono::milliseconds header_timeout{10'000};  ///< First byte to the end of the header, else 408.
  std::chrono::milliseconds body_timeout{30'000};    ///< End of the header to the end of the body, else 408.
  std::chrono::milliseconds reply_timeout{30'000};   ///< Whole request to the handler's answer, else 503.
  std::chrono::milliseconds write_timeout{30'000};  ///< For the whole answer; then the connection is dropped.
  web::AccessRules access{};  ///< Hosts and origins besides its own; `listen_host` is `host` if it is empty.
  bool json_bodies_only = true;  ///< Other bodies of changing requests: 415.
  /// How a request is refused that came from a web page (403), for another host (421) or without JSON (415).
  std::function<ports::HttpResponse(int status, std::string_view detail)> refuse =
      [](int status, std::string_view detail) { return ports::problem_response(status, detail); };
  /// Called once for each answer, refusals included, on an I/O thread before it is written: must not block.
  std::function<void(const Answered&)> on_answered = {};
};

/// Serves HTTP/1.0 and 1.1 with keep-alive; pipelined requests of a connection are handled one after the
/// other and answered in their order. HEAD is handed on as GET and answered without the body. What is not an
/// HTTP request, breaks a limit or takes too long never reaches the handler and is answered as
/// application/problem+json; so does what the rules for web pages refuse (web/access.h), in the shape that
/// `refuse` gives it. Owns its threads; its functions are for one thread at a time.
class HttpServer {
 public:
  /// Listens when it returns. `handler` must outlive the server. Errors: kConflict (the port is taken),
  /// kInvalid (host), kFatal (no permission, out of sockets).
  [[nodiscard]] static base::Result<std::unique_ptr<HttpServer>> start(ports::HttpHandler& handler,
                                                                       HttpServerOptions options);

  /// Stops with a deadline of one second if `stop` was not called.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// The port that it listens on.
  [[nodiscard]] std::uint16_t port() const;

  /// Stops accepting, closes idle connections, lets running requests finish until the deadline, and joins the
  /// threads. A handler may still reply later; nobody hears it. True if nothing was cut off.
  bool stop(base::Deadline deadline);

 private:
  explicit HttpServer(std::shared_ptr<Listener> listener);
  std::shared_ptr<Listener> listener_;
};

}  // namespace millrace::adapters::http
