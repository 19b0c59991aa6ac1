#include "warehouse/handler.h"

#include <algorithm>
#include <array>
#include <random>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <spdlog/spdlog.h>

#include "base/text.h"
#include "base/uuid.h"
#include "warehouse/answer_format.h"
#include "warehouse/error_code.h"
#include "warehouse/guard_switch.h"
#include "warehouse/lexer.h"
#include "warehouse/statement.h"

namespace millrace::warehouse {
namespace {

constexpr std::size_t kBodyPieceBytes = 256u << 10;
// Held back before the status line goes out, so that an early error still gets its own status.
constexpr std::size_t kAnswerHeldBytes = 64u << 10;
constexpr std::chrono::milliseconds kWatchInterval{250};
constexpr std::size_t kExceptionBytesMax = 16u << 10;

// URL parameters that are no settings. Source: ClickHouse docs, "HTTP interface".
constexpr std::array kNoSettings = {"query",          "database",      "user",
                                    "password",       "quota_key",     "query_id",
                                    "default_format", "session_id",    "session_timeout",
                                    "session_check",  "close_session", "compress",
                                    "decompress",     "buffer_size",   "wait_end_of_query",
                                    "stacktrace",     "role",          "client_protocol_version"};
// Settings that would let a statement mean something else than what was checked.
constexpr std::array kRefusedSettings = {"dialect", "format_schema", "format_schema_source",
                                         "implicit_select"};

bool is_on(const std::string* value) {
  return value != nullptr && *value != "0" && *value != "false" && !value->empty();
}

/// Takes the same time whatever is in the texts.
bool same_secret(std::string_view given, std::string_view wanted) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> a{};
  std::array<unsigned char, SHA256_DIGEST_LENGTH> b{};
  SHA256(reinterpret_cast<const unsigned char*>(given.data()), given.size(), a.data());
  SHA256(reinterpret_cast<const unsigned char*>(wanted.data()), wanted.size(), b.data());
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string base64_decoded(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > 8192) return {};
  std::string plain(text.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(plain.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  std::size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
  plain.resize(static_cast<std::size_t>(size) - padding);
  return plain;
}

struct Credentials {
  std::string user = "default";
  std::string password;
};

Credentials credentials_of(const HttpRequest& request) {
  Credentials given;
  if (const std::string* user = request.header("x-clickhouse-user"); user != nullptr) {
    given.user = *user;
    if (const std::string* key = request.header("x-clickhouse-key"); key != nullptr) given.password = *key;
    return given;
  }
  if (const std::string* basic = request.header("authorization"); basic != nullptr) {
    if (base::to_lower(basic->substr(0, 6)) != "basic ") return given;
    const std::string pair = base64_decoded(base::trim(std::string_view(*basic).substr(6)));
    const auto colon = pair.find(':');
    given.user = pair.substr(0, colon);
    if (colon != std::string::npos) given.password = pair.substr(colon + 1);
    return given;
  }
  if (const std::string* user = request.parameter("user"); user != nullptr) given.user = *user;
  if (const std::string* password = request.parameter("password"); password != nullptr)
    given.password = *password;
  return given;
}

bool is_setting_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  });
}

std::string random_tag() {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  std::random_device device;
  std::string tag;
  for (int i = 0; i < 16; ++i) tag += kLetters[device() % kLetters.size()];
  return tag;
}

std::string summary_of(const Progress& progress, std::chrono::nanoseconds elapsed) {
  return fmt::format(
      R"({{"read_rows":"{}","read_bytes":"{}","written_rows":"{}","written_bytes":"{}","total_rows_to_read":"0","result_rows":"{}","result_bytes":"{}","elapsed_ns":"{}"}})",
      progress.read_rows, progress.read_bytes, progress.written_rows, progress.written_bytes,
      progress.result_rows, progress.result_bytes, elapsed.count());
}

}  // namespace

/// What a request asks for besides its statement.
struct Handler::Plan {
  std::string statement;  ///< Of the URL; the body's text follows it.
  std::string database;
  std::string default_format;
  std::string query_id;
  std::string encoding;  ///< Of the answer; empty: none.
  bool block_answer = false;
  bool block_body = false;
  bool wait_for_end = false;
  bool read_only = false;
  NamedValues parameters;
  NamedValues settings;
  std::string tag;  ///< The statement's log_comment, by which it can be found and ended.
};

/// A place among the statements that run at once.
class Handler::Permit {
 public:
  explicit Permit(Handler& handler) : handler_(handler) {
    std::unique_lock lock(handler_.mutex_);
    granted_ = handler_.freed_.wait_for(lock, handler_.options_.statement_wait, [this] {
      return handler_.running_ < handler_.options_.statements_max;
    });
    if (granted_) ++handler_.running_;
  }
  ~Permit() {
    if (!granted_) return;
    {
      const std::lock_guard lock(handler_.mutex_);
      --handler_.running_;
    }
    handler_.freed_.notify_one();
  }
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;
  [[nodiscard]] bool granted() const { return granted_; }

 private:
  Handler& handler_;
  bool granted_ = false;
};

/// While it lives, the statement is ended if its peer leaves.
class Handler::Watched {
 public:
  Watched(Handler& handler, std::string tag, HttpConnection& connection)
      : handler_(handler), tag_(std::move(tag)) {
    const std::lock_guard lock(handler_.mutex_);
    handler_.watched_.emplace(tag_, &connection);
  }
  ~Watched() {
    const std::lock_guard lock(handler_.mutex_);
    handler_.watched_.erase(tag_);
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

 private:
  Handler& handler_;
  const std::string tag_;
};

/// Collects the answer's headers and decides when they go out.
class Handler::Answer {
 public:
  Answer(HttpConnection& connection, const HttpRequest& request, const Handler& handler)
      : connection_(connection),
        handler_(handler),
        keep_alive_(request.keep_alive),
        began_(std::chrono::steady_clock::now()) {}

  void plan(const Plan& plan) {
    query_id_ = plan.query_id;
    if (plan.block_answer) {
      encoder_ = make_block_encoder();
      blocks_ = true;
    } else if (!plan.encoding.empty()) {
      encoder_ = make_encoder(plan.encoding);
      encoding_ = plan.encoding;
    }
    hold_bytes_ = plan.wait_for_end ? handler_.options_.answer_buffer_bytes_max : kAnswerHeldBytes;
    must_hold_all_ = plan.wait_for_end;
  }
  void format(const std::string& name) {
    format_ = name;
    const auto found = handler_.content_types_.find(base::to_lower(name));
    if (found != handler_.content_types_.end()) content_type_ = found->second;
  }

  [[nodiscard]] base::Result<void> write(std::string_view piece, const Progress& progress) {
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

  [[nodiscard]] base::Result<void> finish(const Progress& progress) {
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

  /// False if the connection is of no more use.
  bool fail(const base::Error& error) {
    const std::string text = exception_text(error, handler_.engine_.version()) + "\n";
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

  [[nodiscard]] std::chrono::nanoseconds elapsed() const { return std::chrono::steady_clock::now() - began_; }

 private:
  [[nodiscard]] HttpConnection::Headers common_headers() const {
    HttpConnection::Headers headers = {{"Content-Type", content_type_},
                                       {"Keep-Alive", "timeout=30"},
                                       {"X-ClickHouse-Server-Display-Name", handler_.options_.display_name},
                                       {"X-ClickHouse-Query-Id", query_id_},
                                       {"X-ClickHouse-Timezone", "UTC"}};
    if (!format_.empty()) headers.emplace_back("X-ClickHouse-Format", format_);
    if (!encoding_.empty()) headers.emplace_back("Content-Encoding", encoding_);
    return headers;
  }

  base::Result<void> send_held(bool last) {
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

  HttpConnection& connection_;
  const Handler& handler_;
  const bool keep_alive_;
  const std::chrono::steady_clock::time_point began_;
  std::string query_id_;
  std::string format_;
  std::string content_type_ = "text/plain; charset=UTF-8";
  std::string encoding_;
  std::string exception_tag_;
  std::unique_ptr<Encoder> encoder_;
  bool blocks_ = false;
  std::size_t hold_bytes_ = kAnswerHeldBytes;
  bool must_hold_all_ = false;
  std::string held_;
  bool begun_ = false;
};

Handler::Handler(Engine& engine, HandlerOptions options) : engine_(engine), options_(std::move(options)) {
  for (const auto& [format, type] : engine_.content_types())
    content_types_.emplace(base::to_lower(format), type);
  watcher_ = std::thread([this] { watch(); });
}

Handler::~Handler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  watcher_.join();
}

void Handler::watch() {
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kWatchInterval, [this] { return stopping_; })) {
    std::vector<std::string> abandoned;
    for (const auto& [tag, connection] : watched_)
      if (connection->peer_gone()) abandoned.push_back(tag);
    if (abandoned.empty()) continue;
    lock.unlock();
    for (const std::string& tag : abandoned) engine_.kill(tag);
    lock.lock();
  }
}

bool Handler::authenticate(const HttpRequest& request) const {
  const Credentials given = credentials_of(request);
  // Both are compared always, so that the time does not tell which of them was wrong.
  const bool user_right = same_secret(given.user, options_.user);
  const bool password_right = same_secret(given.password, options_.password);
  return user_right && password_right;
}

base::Result<Handler::Plan> Handler::plan(const HttpRequest& request) const {
  Plan plan;
  const auto text = [&](const char* parameter) {
    const std::string* value = request.parameter(parameter);
    return value == nullptr ? std::string() : *value;
  };
  plan.query_id = text("query_id");
  if (plan.query_id.empty() || plan.query_id.size() > 256)
    plan.query_id = base::uuid_v7(
        std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()));
  plan.statement = text("query");
  plan.database = text("database");
  plan.default_format = text("default_format");
  if (const std::string* header = request.header("x-clickhouse-database");
      header != nullptr && plan.database.empty())
    plan.database = *header;
  if (const std::string* header = request.header("x-clickhouse-format"); header != nullptr)
    plan.default_format = *header;
  plan.block_answer = is_on(request.parameter("compress"));
  plan.block_body = is_on(request.parameter("decompress"));
  plan.wait_for_end = is_on(request.parameter("wait_end_of_query"));
  plan.read_only = request.method != "POST";
  if (is_on(request.parameter("enable_http_compression")) && !plan.block_answer)
    if (const std::string* accepted = request.header("accept-encoding"); accepted != nullptr)
      plan.encoding = choose_encoding(*accepted);
  if (const std::string* type = request.header("content-type");
      type != nullptr && base::to_lower(*type).starts_with("multipart/form-data"))
    return base::fail(
        base::ErrorKind::kInvalid,
        "multipart/form-data is not read here: send the statement in the body and parameters in the URL",
        kNotImplemented);

  std::string comment;
  for (const auto& [name, value] : request.parameters) {
    if (name.starts_with("param_")) {
      plan.parameters.emplace_back(name.substr(6), value);
    } else if (name == "log_comment") {
      comment = value + " ";
    } else if (std::ranges::find(kNoSettings, name) == kNoSettings.end()) {
      if (!is_setting_name(name))
        return base::fail(base::ErrorKind::kInvalid,
                          fmt::format("Unknown setting '{}'", base::printable(name, 60)), kUnknownSetting);
      if (kGuardEnabled && std::ranges::find(kRefusedSettings, name) != kRefusedSettings.end())
        return base::fail(base::ErrorKind::kRejected,
                          fmt::format("the setting {} cannot be changed over HTTP here", name),
                          kAccessDenied);
      plan.settings.emplace_back(name, value);
    }
  }
  plan.tag = comment + "request " + plan.query_id + " " + random_tag();
  plan.settings.emplace_back("log_comment", plan.tag);
  return plan;
}

bool Handler::serve(HttpConnection& connection, const HttpRequest& request) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  const auto plain = [&](int status, std::string_view body) {
    const bool reusable = connection.discard_body(1u << 20) && request.keep_alive;
    return connection
               .respond(status, {{"Content-Type", "text/html; charset=UTF-8"}, {"Keep-Alive", "timeout=30"}},
                        body, reusable)
               .has_value() &&
           reusable;
  };
  if (request.path == "/ping" || request.path == "/replicas_status") return plain(200, "Ok.\n");
  if (request.path == "/" && reads && request.parameter("query") == nullptr) return plain(200, "Ok.\n");
  if (request.path != "/" && request.path != "/query")
    return plain(404,
                 fmt::format("There is nothing at {}: send statements to / and look at /ping for health\n",
                             base::printable(request.path, 80)));
  if (!reads && request.method != "POST")
    return plain(405, "Use POST, or GET for statements that only read\n");

  Answer answer(connection, request, *this);
  if (!authenticate(request)) {
    const std::string user = base::printable(credentials_of(request).user, 80);
    spdlog::warn("refused a request of user '{}': wrong name or password", user);
    return answer.fail(
        {base::ErrorKind::kRejected,
         user + ": Authentication failed: password is incorrect, or there is no user with such name",
         kAuthenticationFailed});
  }
  const auto planned = plan(request);
  if (!planned) return answer.fail(planned.error());
  answer.plan(*planned);
  const auto outcome = run(connection, request, *planned, answer);
  if (!outcome) {
    spdlog::debug("query {}: {}", planned->query_id, outcome.error().message);
    return answer.fail(outcome.error());
  }
  return request.keep_alive && connection.discard_body(1u << 20);
}

base::Result<void> Handler::run(HttpConnection& connection, const HttpRequest& request, const Plan& plan,
                                Answer& answer) {
  ByteSource* body = &connection;
  std::unique_ptr<ByteSource> unpacked;
  if (const std::string* encoding = request.header("content-encoding");
      encoding != nullptr && *encoding != "identity" && !encoding->empty()) {
    MILLRACE_TRY_ASSIGN(unpacked, decoded(*body, *encoding));
    body = unpacked.get();
  }
  std::unique_ptr<ByteSource> unblocked;
  if (plan.block_body) {
    unblocked = decoded_blocks(*body);
    body = unblocked.get();
  }

  // The statement is the URL's text and the body's, with a line end between; an INSERT's rows begin wherever
  // it ends.
  std::string text = plan.statement;
  if (!text.empty()) text += '\n';
  Statement found;
  // "INSERT INTO t" in the URL with the format in a header: the whole body is rows.
  if (!text.empty() && !plan.default_format.empty()) {
    MILLRACE_TRY_ASSIGN(Statement alone, examine(text, true));
    if (alone.kind == Statement::Kind::kInsertData && alone.format.empty()) found = std::move(alone);
  }
  bool complete = false;
  std::string piece(kBodyPieceBytes, '\0');
  while (!complete && found.kind != Statement::Kind::kInsertData) {
    MILLRACE_TRY_ASSIGN(const std::size_t got, body->read(piece.data(), piece.size()));
    complete = got == 0;
    text.append(piece.data(), got);
    if (found.kind == Statement::Kind::kIncomplete) {
      MILLRACE_TRY_ASSIGN(found, examine(text, complete));
    }
    if (found.kind != Statement::Kind::kInsertData && text.size() > options_.statement_bytes_max)
      return base::fail(base::ErrorKind::kInvalid,
                        fmt::format("the statement is larger than {} bytes; send rows behind INSERT … FORMAT",
                                    options_.statement_bytes_max),
                        kQueryIsTooLarge);
  }
  piece = {};
  if (found.kind == Statement::Kind::kOther && is_blank_statement(text))
    return base::fail(base::ErrorKind::kInvalid, "Syntax error: Empty query", kSyntaxError);

  const Permit permit(*this);
  if (!permit.granted())
    return base::unavailable(fmt::format("Too many simultaneous queries: {} run already; try again later",
                                         options_.statements_max),
                             kTooManySimultaneousQueries);
  MILLRACE_TRY_ASSIGN(EngineSession session, engine_.session(plan.settings));
  if (!plan.database.empty()) MILLRACE_TRY(session.use_database(plan.database));

  if (found.kind == Statement::Kind::kOther)
    return run_statement(session, connection, request, plan, text, answer);

  if (plan.read_only)
    return base::fail(
        base::ErrorKind::kRejected,
        "Cannot execute query in readonly mode: GET implies it; use POST for statements that write",
        kReadonly);
  if (kGuardEnabled) MILLRACE_TRY(engine_.guard().check_insert(found.insert));
  std::string format = found.format;
  if (format.empty()) format = plan.default_format.empty() ? "Values" : plan.default_format;
  return run_insert(session, *body, plan, found.insert, format,
                    std::string_view(text).substr(found.data_begin), answer);
}

base::Result<void> Handler::run_insert(EngineSession& session, ByteSource& body, const Plan& plan,
                                       std::string_view insert, const std::string& format,
                                       std::string_view first_rows, Answer& answer) {
  MILLRACE_TRY(session.start_insert(insert, format, plan.parameters));
  if (!first_rows.empty()) MILLRACE_TRY(session.append(first_rows));
  std::string piece(kBodyPieceBytes, '\0');
  for (;;) {
    const auto got = body.read(piece.data(), piece.size());
    if (!got) {
      session.cancel_insert();
      return std::unexpected(got.error());
    }
    if (*got == 0) break;
    MILLRACE_TRY(session.append(std::string_view(piece).substr(0, *got)));
  }
  MILLRACE_TRY(session.finish_insert());
  answer.format(format);
  return answer.finish(session.progress());
}

bool Handler::is_framed_by_setting(const Plan& plan, const std::string& statement) {
  if (std::ranges::any_of(plan.settings,
                          [](const auto& setting) { return is_framing_setting(setting.first); }))
    return true;
  const auto tokens = lex(statement);
  return tokens &&
         std::ranges::any_of(*tokens, [](const Token& token) { return is_framing_setting(token.text); });
}

base::Result<void> Handler::run_statement(EngineSession& session, HttpConnection& connection,
                                          const HttpRequest&, const Plan& plan, const std::string& statement,
                                          Answer& answer) {
  const auto verdict = session.classify(statement);
  if (verdict.statements > 1)
    return base::fail(base::ErrorKind::kInvalid,
                      "Syntax error: Multi-statements are not allowed: send one to a request", kSyntaxError);
  if (verdict.statement_class == StatementClass::kUnknown || verdict.statements != 1) {
    MILLRACE_TRY(lex(statement));
    return std::unexpected(session.syntax_error(statement));
  }
  if (kGuardEnabled) MILLRACE_TRY(engine_.guard().check(statement, verdict.statement_class));
  const bool only_reads = verdict.statement_class == StatementClass::kReadOnly;
  if (plan.read_only && !only_reads)
    return base::fail(
        base::ErrorKind::kRejected,
        "Cannot execute query in readonly mode: GET implies it; use POST for statements that write",
        kReadonly);

  std::string format = format_clause(statement);
  if (format.empty()) format = plan.default_format.empty() ? "TabSeparated" : plan.default_format;
  answer.format(format);

  // Only what changes nothing is given up when nobody waits for it any more.
  std::optional<Watched> watched;
  if (only_reads) watched.emplace(*this, plan.tag, connection);
  AnswerShape shape = shape_of(format);
  if (is_framed_by_setting(plan, statement)) shape = AnswerShape::kWhole;
  MILLRACE_TRY(session.start(statement, format, plan.parameters,
                             only_reads && shape != AnswerShape::kWhole && is_select(statement)));
  for (bool first = true;; first = false) {
    MILLRACE_TRY_ASSIGN(std::string_view piece, session.next());
    if (piece.empty()) break;
    if (shape == AnswerShape::kHeaded && !first) piece.remove_prefix(header_size(format, piece));
    if (auto written = answer.write(piece, session.progress()); !written) {
      session.cancel();
      return written;
    }
  }
  return answer.finish(session.progress());
}

}  // namespace millrace::warehouse
