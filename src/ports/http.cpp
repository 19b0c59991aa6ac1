#include "ports/http.h"

#include "base/json.h"

namespace millrace::ports {
namespace {

std::optional<std::string_view> first_of(const std::vector<std::pair<std::string, std::string>>& entries,
                                         std::string_view name) {
  for (const auto& [key, value] : entries)
    if (key == name) return value;
  return std::nullopt;
}

}  // namespace

std::optional<std::string_view> HttpRequest::header(std::string_view name) const {
  return first_of(headers, name);
}
std::optional<std::string_view> HttpRequest::parameter(std::string_view name) const {
  return first_of(query, name);
}

// Source: RFC 9110 section 15, RFC 6585 (428, 429, 431).
std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

HttpResponse problem_response(int status, std::string_view detail, std::string_view instance) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/problem+json";
  base::JsonWriter json(response.body);
  json.begin_object();
  json.key("type").string("about:blank");
  json.key("title").string(reason_phrase(status));
  json.key("status").number(status);
  json.key("detail").string(detail);
  if (!instance.empty()) json.key("instance").string(instance);
  json.end_object();
  return response;
}

void name_request(HttpResponse& response, std::string_view id) {
  response.headers.emplace_back("X-Request-Id", id);
  // As problem_response writes it: an object with members.
  if (response.content_type != "application/problem+json" || !response.body.ends_with('}')) return;
  response.body.pop_back();
  response.body += ",\"requestId\":\"";
  response.body += id;
  response.body += "\"}";
}

base::Result<HttpResponse> HttpClient::send(const HttpCall& call, base::Deadline deadline) {
  std::string body;
  auto response = send(
      call,
      [&](std::string_view piece) -> base::Result<void> {
        body += piece;
        return {};
      },
      deadline);
  if (response) response->body.insert(0, body);
  return response;
}

}  // namespace millrace::ports
