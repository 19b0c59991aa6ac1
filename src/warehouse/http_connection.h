// One HTTP/1.1 connection, blocking, with a deadline on every wait.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "warehouse/codec.h"

namespace millrace::warehouse {

struct HttpLimits {
  std::uint32_t header_bytes_max = 128u
                                   << 10;  ///< Request line and headers; a statement in the URL counts in.
  std::uint64_t body_bytes_max = std::uint64_t{4} << 30;
  std::chrono::milliseconds idle_timeout{30'000};  ///< Between two requests of a connection.
  std::chrono::milliseconds header_timeout{
      10'000};  ///< From the first byte of a request to the end of its headers.
  std::chrono::milliseconds receive_timeout{30'000};  ///< For the next bytes of a body.
  std::chrono::milliseconds send_timeout{60'000};     ///< For the peer to take the next bytes of an answer.
};

struct HttpRequest {
  std::string method;
  std::string path;                                             ///< Decoded.
  std::vector<std::pair<std::string, std::string>> parameters;  ///< Of the URL, decoded, in order.
  std::vector<std::pair<std::string, std::string>> headers;     ///< Names in lower case.
  bool keep_alive = true;

  /// The first of the name (in lower case for a header), or nullptr.
  [[nodiscard]] const std::string* header(std::string_view name) const;
  [[nodiscard]] const std::string* parameter(std::string_view name) const;
};

/// "a%20b+c" → "a b c". Errors: kInvalid (a broken escape).
[[nodiscard]] base::Result<std::string> url_decoded(std::string_view text);

/// One caller, but for `peer_gone` and `end_idle_wait`, which any thread may call while the object lives.
class HttpConnection final : public ByteSource {
 public:
  /// Takes the socket over.
  HttpConnection(int socket, const HttpLimits& limits);
  ~HttpConnection() override;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  /// Waits for the next request and reads its headers. Nothing: the peer left, or stayed idle for too long.
  /// Errors: kInvalid, the vendor code is the HTTP status to refuse it with; the connection must be closed
  /// then.
  [[nodiscard]] base::Result<std::optional<HttpRequest>> read_request();

  /// The request's body, unchunked. Errors: kInvalid (broken, or larger than allowed: vendor code 290),
  /// kUnavailable (the peer left or is too slow; vendor code 209).
  base::Result<std::size_t> read(char* into, std::size_t size) override;

  /// Reads what is left of the body, up to `bytes_max`. True if the connection can take another request.
  [[nodiscard]] bool discard_body(std::size_t bytes_max);

  using Headers = std::vector<std::pair<std::string, std::string>>;
  /// A whole answer. Errors of all writing calls: kUnavailable (the peer left or is too slow).
  [[nodiscard]] base::Result<void> respond(int status, const Headers& headers, std::string_view body,
                                           bool keep_alive);
  /// A chunked answer: begin, any number of pieces, end. Without `end_chunks` the peer sees that it is cut
  /// off.
  [[nodiscard]] base::Result<void> begin_chunks(int status, const Headers& headers, bool keep_alive);
  [[nodiscard]] base::Result<void> write_chunk(std::string_view piece);
  [[nodiscard]] base::Result<void> end_chunks();
  [[nodiscard]] bool response_begun() const { return response_begun_; }

  /// The peer's address without its port; the loopback's many addresses are one. Empty: unknown.
  [[nodiscard]] std::string peer_address() const;
  /// Whether a request on this connection has had the right password. One caller.
  [[nodiscard]] bool is_proven() const { return proven_; }
  void set_proven() { proven_ = true; }

  /// The peer has closed its side.
  [[nodiscard]] bool peer_gone() const;
  [[nodiscard]] int socket() const { return socket_; }
  /// Makes a waiting `read_request` return nothing; a request under way goes on.
  void end_idle_wait();

 private:
  struct Parser;
  /// Waits for the first byte of a request. False: the peer left or stayed idle for too long.
  [[nodiscard]] bool wait_for_request();
  [[nodiscard]] base::Result<bool> read_head();
  [[nodiscard]] base::Result<HttpRequest> request_of_head();
  [[nodiscard]] base::Result<void> write_all(std::string_view bytes);

  const int socket_;
  const HttpLimits limits_;
  std::unique_ptr<Parser> parser_;
  bool head_only_ = false;
  bool knows_chunks_ = true;
  bool expects_continue_ = false;
  bool response_begun_ = false;
  bool proven_ = false;
};

}  // namespace millrace::warehouse
