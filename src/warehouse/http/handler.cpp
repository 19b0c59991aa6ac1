#include "warehouse/http/handler.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/text.h"
#include "base/uuid.h"
#include "warehouse/engine/error_code.h"
#include "warehouse/http/answer.h"
#include "warehouse/http/answer_format.h"
#include "warehouse/http/credentials.h"
#include "warehouse/sql/lexer.h"
#include "warehouse/sql/statement.h"

namespace millrace::warehouse {
namespace {

constexpr std::size_t kBodyPieceBytes = 256u << 10;
constexpr std::chrono::milliseconds kWatchInterval{250};

// URL parameters that are no settings. Source: ClickHouse docs, "HTTP interface".
constexpr std::array kNoSettings = {"query",          "database",      "user",
                                    "password",       "quota_key",     "query_id",
                                    "default_format", "session_id",    "session_timeout",
                                    "session_check",  "close_session", "compress",
                                    "decompress",     "buffer_size",   "wait_end_of_query",
                                    "stacktrace",     "role",          "client_protocol_version"};
bool is_on(const std::string* value) {
  return value != nullptr && *value != "0" && *value != "false" && !value->empty();
}

bool is_setting_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  });
}

}  // namespace

/// What a request asks for besides its statement.
struct Handler::Plan {
  std::string statement;  ///< Of the URL; the body's text follows it.
  std::string database;
  std::string default_format;
  AnswerOptions answer;
  bool block_body = false;
  bool read_only = false;
  NamedValues parameters;
  NamedValues settings;
  std::string tag;  ///< The statement's log_comment, by which it can be found and ended.
};

/// Tells a statement's place of its connection's waits.
class WaitsOf {
 public:
  WaitsOf(HttpConnection& connection, NetworkWait& wait) : connection_(connection) {
    connection.set_wait(&wait);
  }
  ~WaitsOf() { connection_.set_wait(nullptr); }
  WaitsOf(const WaitsOf&) = delete;
  WaitsOf& operator=(const WaitsOf&) = delete;

 private:
  HttpConnection& connection_;
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

Handler::Handler(Engine& engine, HandlerOptions options)
    : engine_(engine), options_(std::move(options)), places_(options_.places), throttle_(options_.throttle) {
  answers_.display_name = options_.display_name;
  answers_.version = engine_.version();
  answers_.buffer_bytes_max = options_.answer_buffer_bytes_max;
  for (const auto& [format, type] : engine_.content_types())
    answers_.content_types.emplace(base::to_lower(format), type);
  watcher_ = std::thread([this] { watch(); });
}

Handler::~Handler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  throttle_.stop();
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
    try {
      for (const std::string& tag : abandoned) engine_.kill(tag);
    } catch (const std::exception& error) {
      spdlog::error("cannot end an abandoned statement: {}", error.what());
    }
    lock.lock();
  }
}

bool Handler::is_right(const HttpRequest& request) const {
  const Credentials given = credentials_of(request);
  // Both are compared always, so that the time does not tell which of them was wrong.
  const bool user_right = same_secret(given.user, options_.user);
  const bool password_right = same_secret(given.password, options_.password);
  return user_right && password_right;
}

Handler::Entry Handler::authenticate(HttpConnection& connection, const HttpRequest& request) {
  // A connection that was right before costs a guesser nothing and tells him nothing.
  if (!connection.is_trusted()) {
    switch (throttle_.wait(connection.peer_address(), [&] { return connection.peer_gone(); })) {
      case AuthThrottle::Turn::kTooMany:
        return Entry::kTooMany;
      case AuthThrottle::Turn::kGone:
        return Entry::kGone;
      case AuthThrottle::Turn::kLook:
        break;
    }
  }
  const bool right = is_right(request);
  connection.set_trusted(right);
  if (!right) throttle_.failed(connection.peer_address());
  return right ? Entry::kAllowed : Entry::kWrong;
}

base::Result<Handler::Plan> Handler::plan(const HttpRequest& request) const {
  Plan plan;
  const auto text = [&](const char* parameter) {
    const std::string* value = request.parameter(parameter);
    return value == nullptr ? std::string() : *value;
  };
  plan.answer.query_id = text("query_id");
  if (plan.answer.query_id.empty() || plan.answer.query_id.size() > 256)
    plan.answer.query_id = base::uuid_v7(
        std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()));
  plan.statement = text("query");
  plan.database = text("database");
  plan.default_format = text("default_format");
  if (const std::string* header = request.header("x-clickhouse-database");
      header != nullptr && plan.database.empty())
    plan.database = *header;
  if (const std::string* header = request.header("x-clickhouse-format"); header != nullptr)
    plan.default_format = *header;
  plan.answer.block_answer = is_on(request.parameter("compress"));
  plan.block_body = is_on(request.parameter("decompress"));
  plan.answer.wait_for_end = is_on(request.parameter("wait_end_of_query"));
  plan.read_only = request.method != "POST";
  if (is_on(request.parameter("enable_http_compression")) && !plan.answer.block_answer)
    if (const std::string* accepted = request.header("accept-encoding"); accepted != nullptr)
      plan.answer.encoding = choose_encoding(*accepted);
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
      MILLRACE_TRY(engine_.guard().check_setting(name));
      plan.settings.emplace_back(name, value);
    }
  }
  plan.tag = comment + "request " + plan.answer.query_id + " " + random_tag();
  plan.settings.emplace_back("log_comment", plan.tag);
  return plan;
}

namespace {

/// A page may send these without asking first, and its user's credentials are not its own to use.
std::optional<base::Error> page_problem(const HttpRequest& request) {
  if ((request.parameter("user") != nullptr || request.parameter("password") != nullptr) &&
      web::looks_like_browser(request))
    return base::Error{
        base::ErrorKind::kRejected,
        "a web page must not send credentials in the URL: use X-ClickHouse-User and X-ClickHouse-Key",
        kAccessDenied};
  // A navigation without an Origin is a person's own; browsers add what was typed into their dialog.
  const std::string* mode = request.header("sec-fetch-mode");
  const bool is_page = web::is_from_browser(request) &&
                       (request.header("origin") != nullptr || mode == nullptr || *mode != "navigate");
  if (is_page && request.header("authorization") != nullptr)
    return base::Error{base::ErrorKind::kRejected,
                       "a web page must not send the header Authorization, which a browser adds unasked: use "
                       "X-ClickHouse-User and X-ClickHouse-Key",
                       kAccessDenied};
  if (web::is_from_browser(request) && request.method == "POST" &&
      web::is_simple_type(web::media_type(request)))
    return base::Error{base::ErrorKind::kInvalid,
                       "a web page must send statements with a Content-Type such as application/octet-stream",
                       kUnsupportedMediaType};
  return std::nullopt;
}

}  // namespace

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
  web::Access access = web::check_access(options_.access, request);
  connection.set_answer_headers(std::move(access.headers));
  if (access.refusal) return Answer(connection, request.keep_alive, answers_).refuse(*access.refusal);
  if (access.is_preflight) return plain(204, "");
  if (request.path == "/ping" || request.path == "/replicas_status") return plain(200, "Ok.\n");
  if (request.path == "/" && reads && request.parameter("query") == nullptr) return plain(200, "Ok.\n");
  if (request.path != "/" && request.path != "/query")
    return plain(404,
                 fmt::format("There is nothing at {}: send statements to / and look at /ping for health\n",
                             base::printable(request.path, 80)));
  if (!reads && request.method != "POST")
    return plain(405, "Use POST, or GET for statements that only read\n");
  return serve_statement(connection, request);
}

bool Handler::serve_statement(HttpConnection& connection, const HttpRequest& request) {
  Answer answer(connection, request.keep_alive, answers_);
  if (const auto problem = page_problem(request)) return answer.fail(*problem);
  switch (authenticate(connection, request)) {
    case Entry::kAllowed:
      break;
    case Entry::kGone:
      return false;
    case Entry::kTooMany:
      return answer.turn_away();
    case Entry::kWrong: {
      const std::string user = base::printable(credentials_of(request).user, 80);
      spdlog::warn("refused a request of user '{}' from {}: wrong name or password", user,
                   connection.peer_address());
      return answer.fail(
          {base::ErrorKind::kRejected,
           user + ": Authentication failed: password is incorrect, or there is no user with such name",
           kAuthenticationFailed});
    }
  }
  const auto planned = plan(request);
  if (!planned) return answer.fail(planned.error());
  answer.set_options(planned->answer);
  const auto outcome = run(connection, request, *planned, answer);
  if (!outcome) {
    spdlog::debug("query {}: {}", planned->answer.query_id, outcome.error().message);
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

  const std::unique_ptr<Places::Place> place = places_.take();
  if (!place)
    return base::unavailable(fmt::format("Too many simultaneous queries: {} run already; try again later",
                                         options_.places.running_max),
                             kTooManySimultaneousQueries);
  const WaitsOf waits(connection, *place);
  MILLRACE_TRY_ASSIGN(EngineSession session, engine_.session(plan.settings));
  if (!plan.database.empty()) MILLRACE_TRY(session.use_database(plan.database));

  if (found.kind == Statement::Kind::kOther) return run_statement(session, connection, plan, text, answer);

  if (plan.read_only)
    return base::fail(
        base::ErrorKind::kRejected,
        "Cannot execute query in readonly mode: GET implies it; use POST for statements that write",
        kReadonly);
  MILLRACE_TRY(engine_.guard().check_insert(found.insert));
  std::string format = found.format;
  if (format.empty()) format = plan.default_format.empty() ? "Values" : plan.default_format;
  return run_insert(session, *body, plan, found.insert, format,
                    std::string_view(text).substr(found.data_begin), answer);
}

base::Result<void> Handler::run_insert(EngineSession& session, ByteSource& body, const Plan& plan,
                                       std::string_view insert, const std::string& format,
                                       std::string_view first_rows, Answer& answer) {
  MILLRACE_TRY(engine_.guard().check_format(format));
  std::optional<ValuesCheck> values = engine_.guard().rows_check(format, options_.statement_bytes_max);
  const auto append = [&](std::string_view rows, bool last) -> base::Result<void> {
    if (values) {
      MILLRACE_TRY_ASSIGN(rows, values->feed(rows, last));
    }
    return rows.empty() ? base::Result<void>{} : session.append(rows);
  };
  MILLRACE_TRY(session.start_insert(insert, format, plan.parameters));
  MILLRACE_TRY(append(first_rows, false));
  std::string piece(kBodyPieceBytes, '\0');
  for (;;) {
    const auto got = body.read(piece.data(), piece.size());
    if (!got) {
      session.cancel_insert();
      return std::unexpected(got.error());
    }
    if (*got == 0) break;
    MILLRACE_TRY(append(std::string_view(piece).substr(0, *got), false));
  }
  MILLRACE_TRY(append({}, true));
  MILLRACE_TRY(session.finish_insert());
  answer.set_format(format);
  return answer.finish(session.progress());
}

base::Result<void> Handler::run_statement(EngineSession& session, HttpConnection& connection,
                                          const Plan& plan, const std::string& statement, Answer& answer) {
  const auto verdict = session.classify(statement);
  if (verdict.statements > 1)
    return base::fail(base::ErrorKind::kInvalid,
                      "Syntax error: Multi-statements are not allowed: send one to a request", kSyntaxError);
  if (verdict.statement_class == StatementClass::kUnknown || verdict.statements != 1) {
    MILLRACE_TRY(lex(statement));
    return std::unexpected(session.syntax_error(statement));
  }
  MILLRACE_TRY_ASSIGN(const StatementFacts facts, engine_.guard().check(statement, verdict.statement_class));
  const bool only_reads = verdict.statement_class == StatementClass::kReadOnly;
  if (plan.read_only && !only_reads)
    return base::fail(
        base::ErrorKind::kRejected,
        "Cannot execute query in readonly mode: GET implies it; use POST for statements that write",
        kReadonly);

  std::string format = facts.format;
  if (format.empty()) format = plan.default_format.empty() ? "TabSeparated" : plan.default_format;
  MILLRACE_TRY(engine_.guard().check_format(format));
  answer.set_format(format);

  // Only what changes nothing is given up when nobody waits for it any more.
  std::optional<Watched> watched;
  if (only_reads) watched.emplace(*this, plan.tag, connection);
  AnswerShape shape = shape_of(format);
  if (facts.is_framed || std::ranges::any_of(plan.settings, [](const auto& setting) {
        return is_framing_setting(setting.first);
      }))
    shape = AnswerShape::kWhole;
  MILLRACE_TRY(session.start(statement, format, plan.parameters,
                             only_reads && shape != AnswerShape::kWhole && facts.is_select));
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
