// HTTP as the API sees it: one request in, one answer out.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"

namespace millrace::ports {

struct HttpRequest {
  std::string method;             ///< "GET", "POST" …
  std::vector<std::string> path;  ///< Decoded segments: "/api/orders/1" is {"api", "orders", "1"}.
  std::vector<std::pair<std::string, std::string>> query;    ///< Decoded, in the order of the target.
  std::vector<std::pair<std::string, std::string>> headers;  ///< Names in lower case.
  std::string body;

  /// The first header of that lower-case name.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  /// The pattern of the route that answered, for measurements: "/api/orders/{id}". Empty: no route. Never
  /// sent; the text lives as long as the program.
  std::string_view route = {};
};

/// "Not Found" for 404; "Unknown" for a status that HTTP does not define.
[[nodiscard]] std::string_view reason_phrase(int status);

/// An error as application/problem+json (RFC 9457): type, title, status, detail, and `instance` if it is not
/// empty.
[[nodiscard]] HttpResponse problem_response(int status, std::string_view detail,
                                            std::string_view instance = {});

/// Names the request that an answer is to: the header X-Request-Id, and in the body of a problem the member
/// `requestId`. `id` needs no escaping in JSON.
void name_request(HttpResponse& response, std::string_view id);

/// Takes the answer; called exactly once, from any thread.
using HttpReply = std::function<void(HttpResponse)>;

/// Thread-safe. Called on the server's I/O thread, so it must not block: what blocks goes to threads of the
/// handler's own.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual void handle(HttpRequest request, HttpReply reply) = 0;
};

struct HttpCall {
  std::string method = "GET";
  std::string url;  ///< http or https.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view body;  ///< Must outlive the call.
};

/// Requests to other servers. Thread-safe; keeps connections open between calls, and bounds how many there
/// are.
class HttpClient {
 public:
  virtual ~HttpClient() = default;

  /// Takes pieces of the body of an answer with status 200 to 299 as they come; an error ends the call with
  /// that error.
  using BodySink = std::function<base::Result<void>(std::string_view)>;

  /// The answer, whatever its status; its body holds what the sink did not take (of a refusal at most 4,096
  /// bytes). Errors: kUnavailable (no connection, broken off, or the deadline passed: the request may have
  /// been carried out).
  [[nodiscard]] virtual base::Result<HttpResponse> send(const HttpCall& call, const BodySink& sink,
                                                        base::Deadline deadline) = 0;

  /// As above, with the whole body in the answer.
  [[nodiscard]] base::Result<HttpResponse> send(const HttpCall& call, base::Deadline deadline);
};

}  // namespace millrace::ports
