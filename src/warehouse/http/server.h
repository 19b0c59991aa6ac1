// Accepts connections and gives each a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/result.h"
#include "warehouse/http/handler.h"
#include "warehouse/http/http_connection.h"

namespace millrace::warehouse {

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8123;  ///< 0: any free one.
  std::size_t connections_max = 256;
  HttpLimits limits;
};

/// Owns the accepting thread and one thread for each connection. `bind`, `listen` and `stop` from one thread.
class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Takes the address; nobody can connect yet. Returns the port. Errors: kConflict (the port is taken),
  /// kInvalid (the address).
  [[nodiscard]] base::Result<std::uint16_t> bind();

  /// After `bind`: listens and starts to accept. Makes no socket. Errors: kConflict (the port was taken
  /// since).
  [[nodiscard]] base::Result<void> listen(Handler& handler);

  /// Accepts no more, lets requests under way end, and returns when all connections are closed (true) or at
  /// the deadline (false).
  [[nodiscard]] bool stop(base::Deadline deadline);

 private:
  void accept_all();
  void admit(int socket, std::uint64_t id);
  void serve(std::shared_ptr<HttpConnection> connection, std::uint64_t id);
  /// True if the connection can take another request.
  [[nodiscard]] bool serve_one(HttpConnection& connection, std::uint64_t id);

  [[nodiscard]] base::Error port_taken() const;

  Handler* handler_ = nullptr;  ///< Set before there is a thread.
  const ServerOptions options_;
  int listener_ = -1;
  int stop_pipe_[2] = {-1, -1};
  std::thread acceptor_;

  struct Entry {
    std::shared_ptr<HttpConnection> connection;
    bool idle = true;
  };
  std::mutex mutex_;
  std::condition_variable closed_;
  std::unordered_map<std::uint64_t, Entry> connections_;  // guarded by mutex_
  bool stopping_ = false;                                 // guarded by mutex_
};

}  // namespace millrace::warehouse
