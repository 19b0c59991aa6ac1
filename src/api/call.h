// One request on its way to its answer.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/server_span.h"
#include "base/result.h"
#include "ports/http.h"

namespace millrace::api {

/// Thread-safe once it is made. Answered once; of two answers the first counts.
struct Call {
  ports::HttpRequest request;
  ports::HttpReply reply;
  std::string_view route;              ///< The pattern of the route; empty: there is none. Never freed.
  std::vector<std::string> arguments;  ///< What stands for each {name} of the pattern, decoded.
  std::string path;                    ///< For messages, with its escapes.
  std::string request_id;
  std::string admin;                 ///< Who asks, on routes for admins.
  std::string traceparent;           ///< For the events of what it changes; empty: none.
  std::unique_ptr<ServerSpan> span;  ///< Null: the client records no spans, or nobody takes ours.

  void answer(ports::HttpResponse response) const;
  void answer_json(std::string body, int status = 200) const;
  /// Answers with the error as a problem, and logs what the answer does not tell.
  void fail(const base::Error& error) const;
};

using CallPointer = std::shared_ptr<const Call>;

/// Runs `work`, and answers 500 if it throws: threads that serve others run calls by it. The exception is
/// logged and counted.
void answer_whatever_happens(const Call& call, const std::function<void()>& work);

/// 200 with a JSON body, or another status.
[[nodiscard]] ports::HttpResponse json_answer(std::string body, int status = 200);

/// "/api/orders/1" of its decoded segments, for messages.
[[nodiscard]] std::string path_text(std::span<const std::string> path);

}  // namespace millrace::api
