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

#include "base/deadline.h"
#include "base/result.h"
#include "warehouse/codec.h"
#include "web/body_reader.h"
#include "web/head.h"

namespace millrace::warehouse {

struct HttpLimits {
  std::uint32_t header_bytes_max = 128u
                                   << 10;  ///< Request line and headers; a statement in the URL counts in.
  std::uint64_t body_bytes_max = std::uint64_t{4} << 30;
  std::chrono::milliseconds idle_timeout{30'000};  ///< Between two requests of a connection.
  std::chrono::milliseconds header_timeout{
      10'000};  ///< From the first byte of a request to the end of its headers.
  std::chrono::milliseconds receive_timeout{30'000};  ///< For the next bytes of a body.
  std::chrono::milliseconds send_timeout{60'000};     ///< For the peer to take each 64 KiB of an answer.
};

struct HttpRequest : web::RequestHead {
  std::string path;                                             ///< Decoded.
  std::vector<std::pair<std::string, std::string>> parameters;  ///< Of the URL, decoded, in order.

  /// The first of the name, or nullptr.
  [[nodiscard]] const std::string* parameter(std::string_view name) const;
};

/// Hears when the connection waits for its peer, so that nothing others need is held meanwhile.
class NetworkWait {
 public:
  virtual ~NetworkWait() = default;
  virtual void begin() = 0;
  /// Asked now and then between `begin` and `end`: true ends the wait.
  [[nodiscard]] virtual bool has_to_end() = 0;
  /// `bytes` went through since the last time. False: the request has to end, others need its place.
  [[nodiscard]] virtual bool end(std::uint64_t bytes) = 0;
};

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
  /// kUnavailable (the peer left or is too slow: vendor code 209; it gave way to others: 202).
  base::Result<std::size_t> read(char* into, std::size_t size) override;

  /// Reads what is left of the body, up to `bytes_max` and for a few seconds at most. True if the connection
  /// can take another request.
  [[nodiscard]] bool discard_body(std::size_t bytes_max);

  /// Told about every wait for the peer until it is set to nullptr; must live until then.
  void set_wait(NetworkWait* wait) { wait_ = wait; }

  using Headers = std::vector<std::pair<std::string, std::string>>;
  /// Goes with the answer to the request that was read last, besides its own headers.
  void set_answer_headers(Headers headers) { answer_headers_ = std::move(headers); }
  /// A whole answer. Errors of all writing calls: kUnavailable (the peer left or is too slow).
  [[nodiscard]] base::Result<void> respond(int status, const Headers& headers, std::string_view body,
                                           bool keep_alive);
  /// A chunked answer: begin, any number of pieces, end. Without `end_chunks` the peer sees that it is cut
  /// off.
  [[nodiscard]] base::Result<void> begin_chunks(int status, const Headers& headers, bool keep_alive);
  [[nodiscard]] base::Result<void> write_chunk(std::string_view piece);
  [[nodiscard]] base::Result<void> end_chunks();
  [[nodiscard]] bool response_begun() const { return response_begun_; }

  /// The peer has closed its side.
  [[nodiscard]] bool peer_gone() const;
  [[nodiscard]] int socket() const { return socket_; }
  /// As text, without the port; empty if nobody knows.
  [[nodiscard]] const std::string& peer_address() const { return peer_address_; }
  /// The credentials of its last statement were right.
  [[nodiscard]] bool is_trusted() const { return is_trusted_; }
  void set_trusted(bool trusted) { is_trusted_ = trusted; }
  /// Makes a waiting `read_request` return nothing; a request under way goes on.
  void end_idle_wait();

 private:
  /// Waits for the socket. False: the request has to end.
  [[nodiscard]] bool wait_for(short events, base::Deadline deadline);
  enum class Received { kSome, kEnd, kTimeout, kGaveWay };
  [[nodiscard]] Received receive(base::Deadline deadline);
  [[nodiscard]] base::Result<std::optional<web::RequestHead>> read_head();
  [[nodiscard]] base::Result<std::size_t> read_until(char* into, std::size_t size, base::Deadline deadline);
  [[nodiscard]] base::Result<void> write_all(std::string_view bytes);
  [[nodiscard]] base::Result<void> write_piece(std::string_view bytes);
  [[nodiscard]] std::string head_of(int status, const Headers& headers, bool keep_alive) const;
  [[nodiscard]] std::string_view received() const { return std::string_view(buffer_).substr(begin_); }
  void consume(std::size_t count);

  const int socket_;
  const HttpLimits limits_;
  const std::string peer_address_;
  bool is_trusted_ = false;
  std::string buffer_;  ///< What came and was not taken yet begins at `begin_`.
  std::size_t begin_ = 0;
  web::BodyReader body_;
  Headers answer_headers_;
  NetworkWait* wait_ = nullptr;
  std::uint64_t moved_ = 0;  ///< Bytes since `wait_` was told of some.
  bool head_only_ = false;
  bool knows_chunks_ = true;
  bool expects_continue_ = false;
  bool response_begun_ = false;
  bool is_broken_ = false;  ///< Nobody knows where the next request begins.
};

}  // namespace millrace::warehouse
