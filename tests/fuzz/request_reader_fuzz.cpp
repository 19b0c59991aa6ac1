// The reader of requests: heads, framing, bodies, and the connection over a real socket.
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/socket.h>
#include <unistd.h>

#include "warehouse/http/http_connection.h"
#include "web/access.h"
#include "web/body_reader.h"
#include "web/head.h"

namespace {

using namespace millrace;

constexpr web::HeadLimits kLimits{.head_bytes_max = 2'048, .header_bytes_max = 512, .headers_max = 20};
constexpr std::uint64_t kBodyBytesMax = 10'000;

/// All that a request says, or the status to refuse it with; what follows it is left in `input`.
std::string read_one(std::string_view& input, std::size_t piece, std::size_t room) {
  web::HeadScanner scanner(kLimits);
  std::optional<web::HeadScanner::Span> span;
  for (std::size_t size = 0; !span;) {
    if (size == input.size()) return input = {}, "unfinished";
    size = std::min(size + piece, input.size());
    const auto found = scanner.scan(input.substr(0, size));
    if (!found) return input = {}, std::to_string(found.error().vendor_code);
    span = *found;
  }
  const auto head = web::parse_head(input.substr(span->begin, span->end - span->begin), kLimits);
  input.remove_prefix(span->end);
  if (!head) return input = {}, std::to_string(head.error().vendor_code);
  if (head->is_chunked && head->content_length != 0) std::abort();
  if (head->minor_version == 1 && head->header("host") == nullptr) std::abort();
  std::string told = head->method + " " + head->target + "\n";
  for (const auto& [name, value] : head->headers) {
    if (!web::is_token(name) || value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
      std::abort();
    told += name + "=" + value + "\n";
  }
  static_cast<void>(web::check_access(
      {.listen_host = "0.0.0.0", .allowed_hosts = {}, .cors_origins = {"http://a"}}, *head));
  static_cast<void>(web::check_json_body(*head));
  web::BodyReader body(*head, kBodyBytesMax);
  std::string out(room, '\0');
  std::size_t size = 0;
  while (!body.done()) {
    if (input.empty()) return told + "unfinished body";
    const auto step = body.decode(input.substr(0, piece), out.data(), room);
    // How much of a broken body came out before may differ; that it is broken may not.
    if (!step) return input = {}, std::to_string(step.error().vendor_code);
    if (step->taken == 0 && step->made == 0) std::abort();
    if (step->made > room || (size += step->made) > kBodyBytesMax) std::abort();
    told.append(out, 0, step->made);
    input.remove_prefix(step->taken);
  }
  return told;
}

/// What a request is must not depend on how its bytes arrive: else two readers could see different ones.
void compare_readings(std::string_view bytes) {
  std::string_view whole = bytes;
  std::string_view pieces = bytes;
  for (int i = 0; i < 20 && !whole.empty(); ++i) {
    if (read_one(whole, 1 << 20, 1 << 16) != read_one(pieces, 1, 3)) std::abort();
    if (whole != pieces) std::abort();
  }
}

void serve(std::string_view bytes) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  if (::send(ends[0], bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) std::abort();
  ::shutdown(ends[0], SHUT_WR);
  {
    warehouse::HttpLimits limits;
    limits.header_bytes_max = 2'048;
    limits.body_bytes_max = kBodyBytesMax;
    warehouse::HttpConnection connection(ends[1], limits);
    for (int i = 0; i < 20; ++i) {
      auto request = connection.read_request();
      if (!request) {
        static_cast<void>(
            connection.respond(request.error().vendor_code, {}, request.error().message, false));
        break;
      }
      if (!*request) break;
      char room[100];
      const auto got = connection.read(room, sizeof room);
      if (got && *got > sizeof room) std::abort();
      const bool reusable = connection.discard_body(1'000);
      if (!connection.respond(200, {{"X-Path", (*request)->path}}, "Ok.\n", reusable) || !reusable) break;
    }
  }
  ::close(ends[0]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  compare_readings(bytes);
  serve(bytes);
  return 0;
}
