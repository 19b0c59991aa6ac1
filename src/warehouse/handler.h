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
#include "warehouse/answer.h"
#include "warehouse/engine.h"
#include "warehouse/http_connection.h"
#include "warehouse/password_throttle.h"
#include "warehouse/statement_places.h"

namespace millrace::warehouse {

struct HandlerOptions {
  std::string user = "admin";
  std::string password;
  std::size_t statements_max = 16;  ///< At once at work in the engine; more wait.
  std::chrono::milliseconds statement_wait{
      5'000};                                     ///< How long they wait before they are refused (code 202).
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

  /// Errors: kRejected, code 516 (wrong, after a delay) or 364 (too many wrong ones lately).
  [[nodiscard]] base::Result<void> authenticate(HttpConnection& connection, const HttpRequest& request);
  [[nodiscard]] base::Result<Plan> plan(const HttpRequest& request) const;
  [[nodiscard]] base::Result<void> run(HttpConnection& connection, const HttpRequest& request,
                                       const Plan& plan, Answer& answer);
  [[nodiscard]] base::Result<void> no_place() const;
  [[nodiscard]] base::Result<void> run_insert(EngineSession& session, StatementPlaces::Place& place,
                                              ByteSource& body, const Plan& plan, std::string_view insert,
                                              const std::string& format, std::string_view first_rows,
                                              Answer& answer);
  [[nodiscard]] base::Result<void> run_statement(EngineSession& session, StatementPlaces::Place& place,
                                                 HttpConnection& connection, const Plan& plan,
                                                 const std::string& statement, Answer& answer);
  void watch();

  Engine& engine_;
  const HandlerOptions options_;
  AnswerContext answers_;
  StatementPlaces places_;
  PasswordThrottle throttle_;

  std::mutex mutex_;
  std::unordered_map<std::string, HttpConnection*> watched_;  // guarded by mutex_; by the statement's tag
  bool stopping_ = false;                                     // guarded by mutex_
  std::condition_variable stopped_;
  std::atomic<std::uint64_t> statements_started_{0};
  std::thread watcher_;
};

}  // namespace millrace::warehouse
