#include "warehouse/http/answer.h"

#include <random>

#include <fmt/format.h>

#include "base/text.h"
#include "warehouse/engine/error_code.h"

namespace millrace::warehouse {
namespace {

// Held back before the status line goes out, so that an early error still gets its own status.
constexpr std::size_t kAnswerHeldBytes = 64u << 10;
constexpr std::size_t kExceptionBytesMax = 16u << 10;

std::string summary_of(const Progress& progress, std::chrono::nanoseconds elapsed) {
  return fmt::format(
      R"({{"read_rows":"{}","read_bytes":"{}","written_rows":"{}","written_bytes":"{}","total_rows_to_read":"0","result_rows":"{}","result_bytes":"{}","elapsed_ns":"{}"}})",
      progress.read_rows, progress.read_bytes, progress.written_rows, progress.written_bytes,
      progress.result_rows, progress.result_bytes, elapsed.count());
}

}  // namespace

std::string random_tag() {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  std::random_device device;
  std::string tag;
  for (int i = 0; i < 16; ++i) tag += kLetters[device() % kLetters.size()];
  return tag;
}

Answer::Answer(HttpConnection& connection, bool keep_alive, const AnswerContext& context)
    : connection_(connection), keep_alive_(keep_alive), context_(context), hold_bytes_(kAnswerHeldBytes) {}

void Answer::set_options(const AnswerOptions& options) {
  query_id_ = options.query_id;
  if (options.block_answer) {
    encoder_ = make_block_encoder();
    blocks_ = true;
  } else if (!options.encoding.empty()) {
    encoder_ = make_encoder(options.encoding);
    encoding_ = options.encoding;
  }
  hold_bytes_ = options.wait_for_end ? context_.buffer_bytes_max : kAnswerHeldBytes;
  must_hold_all_ = options.wait_for_end;
}

void Answer::set_format(const std::string& name) {
  format_ = name;
  const auto found = context_.content_types.find(base::to_lower(name));
  if (found != context_.content_types.end()) content_type_ = found->second;
}

base::Result<void> Answer::write(std::string_view piece, const Progress& progress) {
  held_ += piece;
  if (!begun_) {
    if (held_.size() < hold_bytes_) return {};
    if (must_hold_all_)
      return base::fail(
          base::ErrorKind::kRejected,
          fmt::format("the answer is larger than the {} bytes kept for wait_end_of_query; ask without it",
                      hold_bytes_),
          kLimitExceeded);
    exception_tag_ = random_tag();
    auto headers = common_headers();
    headers.emplace_back("X-ClickHouse-Summary", summary_of(progress, elapsed()));
    headers.emplace_back("X-ClickHouse-Exception-Tag", exception_tag_);
    MILLRACE_TRY(connection_.begin_chunks(200, headers, keep_alive_));
    begun_ = true;
  }
  return send_held(false);
}

base::Result<void> Answer::finish(const Progress& progress) {
  if (begun_) {
    MILLRACE_TRY(send_held(true));
    return connection_.end_chunks();
  }
  auto headers = common_headers();
  headers.emplace_back("X-ClickHouse-Summary", summary_of(progress, elapsed()));
  std::string body;
  if (encoder_) {
    encoder_->encode(held_, true, body);
  } else {
    body = std::move(held_);
  }
  return connection_.respond(200, headers, body, keep_alive_);
}

bool Answer::fail(const base::Error& error) {
  const std::string text = exception_text(error, context_.version) + "\n";
  if (begun_) {
    const std::string shown = text.substr(0, kExceptionBytesMax);
    held_ += fmt::format("\r\n__exception__\r\n{}\r\n{}{} {}\r\n__exception__\r\n", exception_tag_, shown,
                         shown.size(), exception_tag_);
    // Neither the rest of the answer nor the last chunk follows: whoever does not look for the text sees a
    // broken body.
    static_cast<void>(send_held(true));
    return false;
  }
  const int code = error.vendor_code == 0 ? kUnknownException : error.vendor_code;
  format_.clear();
  content_type_ = "text/plain; charset=UTF-8";
  encoding_.clear();
  auto headers = common_headers();
  headers.emplace_back("X-ClickHouse-Exception-Code", std::to_string(code));
  std::string body = text;
  if (blocks_ && code != kAuthenticationFailed) {
    body.clear();
    make_block_encoder()->encode(text, true, body);
  }
  const bool reusable = connection_.discard_body(1u << 20) && keep_alive_;
  return connection_.respond(http_status(code), headers, body, reusable).has_value() && reusable;
}

bool Answer::refuse(const web::Refusal& refusal) {
  const base::Error error{base::ErrorKind::kRejected, refusal.message, kAccessDenied};
  auto headers = common_headers();
  headers.emplace_back("X-ClickHouse-Exception-Code", std::to_string(error.vendor_code));
  const bool reusable = connection_.discard_body(1u << 20) && keep_alive_;
  return connection_
             .respond(refusal.status, headers, exception_text(error, context_.version) + "\n", reusable)
             .has_value() &&
         reusable;
}

bool Answer::turn_away() {
  const base::Error error{base::ErrorKind::kUnavailable,
                          "Too many wrong passwords came from this address; try again in a few seconds",
                          kTooManyRequests};
  auto headers = common_headers();
  headers.emplace_back("Retry-After", "2");
  headers.emplace_back("X-ClickHouse-Exception-Code", std::to_string(error.vendor_code));
  static_cast<void>(connection_.respond(429, headers, exception_text(error, context_.version) + "\n", false));
  return false;
}

HttpConnection::Headers Answer::common_headers() const {
  HttpConnection::Headers headers = {{"Content-Type", content_type_},
                                     {"Keep-Alive", "timeout=30"},
                                     {"X-ClickHouse-Server-Display-Name", context_.display_name},
                                     {"X-ClickHouse-Query-Id", query_id_},
                                     {"X-ClickHouse-Timezone", "UTC"}};
  if (!format_.empty()) headers.emplace_back("X-ClickHouse-Format", format_);
  if (!encoding_.empty()) headers.emplace_back("Content-Encoding", encoding_);
  return headers;
}

base::Result<void> Answer::send_held(bool last) {
  if (!encoder_) {
    MILLRACE_TRY(connection_.write_chunk(held_));
  } else {
    std::string packed;
    encoder_->encode(held_, last, packed);
    MILLRACE_TRY(connection_.write_chunk(packed));
  }
  held_.clear();
  return {};
}

}  // namespace millrace::warehouse
