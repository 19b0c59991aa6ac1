// Answers one HTTP request the way ClickHouse does. The contract is docs/specs/warehouse.md.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/deadline.h"
#include "warehouse/engine/engine.h"
#include "warehouse/http/answer.h"
#include "warehouse/http/auth_throttle.h"
#include "warehouse/http/http_connection.h"
#include "warehouse/http/places.h"
#include "web/access.h"

namespace millrace::warehouse {

struct HandlerOptions {
  std::string user = "admin";
  std::string password;
  Places::Options places;                         ///< Statements in the engine at once, and open at once.
  AuthThrottle::Options throttle;                 ///< Of wrong credentials.
  web::AccessRules access;                        ///< Of requests that come from web pages.
  std::uint64_t statement_bytes_max = 16u << 20;  ///< Text of one statement, without an INSERT's rows.
  std::uint64_t answer_buffer_bytes_max = 256u << 20;  ///< With wait_end_of_query=1.
  std::string display_name = "millrace-warehouse";
};

/// Thread-safe. Runs one thread that watches for peers that leave while the engine computes for them.
class Handler {
 public:
  Handler(Engine& engine, HandlerOptions options);
  ~Handler();
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

  /// Reads the request's body as far as needed and writes the answer. True if the connection can take another
  /// request.
  bool serve(HttpConnection& connection, const HttpRequest& request);

  /// Ends what only delays answers; requests are still served.
  void stop_waiting() { throttle_.stop(); }

 private:
  class Watched;
  struct Plan;

  enum class Entry { kAllowed, kWrong, kTooMany, kGone };
  [[nodiscard]] bool is_right(const HttpRequest& request) const;
  [[nodiscard]] Entry authenticate(HttpConnection& connection, const HttpRequest& request);
  [[nodiscard]] bool serve_statement(HttpConnection& connection, const HttpRequest& request);
  [[nodiscard]] base::Result<Plan> plan(const HttpRequest& request) const;
  [[nodiscard]] base::Result<void> run(HttpConnection& connection, const HttpRequest& request,
                                       const Plan& plan, Answer& answer);
  [[nodiscard]] base::Result<void> run_insert(EngineSession& session, ByteSource& body, const Plan& plan,
                                              std::string_view insert, const std::string& format,
                                              std::string_view first_rows, Answer& answer);
  [[nodiscard]] base::Result<void> run_statement(EngineSession& session, HttpConnection& connection,
                                                 const Plan& plan, const std::string& statement,
                                                 Answer& answer);
  void watch();

  Engine& engine_;
  const HandlerOptions options_;
  AnswerContext answers_;
  Places places_;
  AuthThrottle throttle_;

  std::mutex mutex_;
  std::unordered_map<std::string, HttpConnection*> watched_;  // guarded by mutex_; by the statement's tag
  bool stopping_ = false;                                     // guarded by mutex_
  std::condition_variable stopped_;
  std::atomic<std::uint64_t> statements_started_{0};
  std::thread watcher_;
};

}  // namespace millrace::warehouse
