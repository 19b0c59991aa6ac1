#include "adapters/http/answer_text.h"

#include <ctime>
#include <iterator>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "web/access.h"

namespace millrace::adapters::http {
namespace {

std::string http_date() {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(std::time(nullptr)));
}

bool holds_line_break(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

}  // namespace

std::string head_text(const ports::HttpResponse& response, bool keep_alive, bool is_http10) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\nServer: millrace\r\n", response.status,
                                 ports::reason_phrase(response.status), http_date());
  const bool may_have_body = response.status >= 200 && response.status != 204 && response.status != 304;
  if (may_have_body) {
    if (!response.body.empty() && !response.content_type.empty())
      fmt::format_to(std::back_inserter(head), "Content-Type: {}\r\n", response.content_type);
    fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", response.body.size());
  }
  head += web::security_headers(response.content_type);
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

}  // namespace millrace::adapters::http
