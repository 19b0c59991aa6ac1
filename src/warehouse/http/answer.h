// Writes one HTTP answer the way ClickHouse does.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "warehouse/engine/engine.h"
#include "warehouse/http/codec.h"
#include "warehouse/http/http_connection.h"
#include "web/access.h"

namespace millrace::warehouse {

/// What all answers of a server have in common.
struct AnswerContext {
  std::string display_name;
  std::string version;                               ///< The engine's.
  std::map<std::string, std::string> content_types;  ///< By format, in lower case.
  std::size_t buffer_bytes_max = 256u << 20;         ///< With `wait_for_end`.
};

/// What a request asks for.
struct AnswerOptions {
  std::string query_id;
  std::string encoding;       ///< HTTP's name, as `choose_encoding` gives it; empty: none.
  bool block_answer = false;  ///< In ClickHouse's own blocks instead.
  bool wait_for_end =
      false;  ///< Nothing goes out before all is there, so that a late error has its own status.
};

/// Collects the answer's headers and decides when they go out. One caller. `connection` and `context` must
/// outlive it.
class Answer {
 public:
  Answer(HttpConnection& connection, bool keep_alive, const AnswerContext& context);

  void set_options(const AnswerOptions& options);
  /// The format's name, as the client wrote it.
  void set_format(const std::string& name);

  /// Errors: kUnavailable (the peer left or is too slow), kRejected with code 290 (larger than what is kept
  /// back).
  [[nodiscard]] base::Result<void> write(std::string_view piece, const Progress& progress);
  [[nodiscard]] base::Result<void> finish(const Progress& progress);

  /// False if the connection is of no more use.
  bool fail(const base::Error& error);
  /// Likewise, before anything of the request was looked at.
  bool refuse(const web::Refusal& refusal);
  /// Wrong credentials came too often from the peer's address: these were not looked at. Always false.
  bool turn_away();

 private:
  [[nodiscard]] HttpConnection::Headers common_headers() const;
  base::Result<void> send_held(bool last);
  [[nodiscard]] std::chrono::nanoseconds elapsed() const { return std::chrono::steady_clock::now() - began_; }

  HttpConnection& connection_;
  const bool keep_alive_;
  const AnswerContext& context_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::string query_id_;
  std::string format_;
  std::string content_type_ = "text/plain; charset=UTF-8";
  std::string encoding_;
  std::string exception_tag_;
  std::unique_ptr<Encoder> encoder_;
  bool blocks_ = false;
  std::size_t hold_bytes_;
  bool must_hold_all_ = false;
  std::string held_;
  bool begun_ = false;
};

/// Sixteen random letters.
[[nodiscard]] std::string random_tag();

}  // namespace millrace::warehouse
