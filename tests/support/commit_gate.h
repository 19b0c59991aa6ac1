// A TCP gate in front of a MySQL or MariaDB server that loses commits or their answers.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

namespace millrace::support {

enum class CommitFault {
  kNone,
  kLost,        ///< The server never sees the commit; both sides lose their connection.
  kAnswerLost,  ///< The server commits; the client's connection ends without the answer.
  kLate,        ///< The client's connection ends at once; the server gets the commit half a second later.
};

/// Passes bytes between 127.0.0.1:port() and the server. Owns its threads.
class CommitGate {
 public:
  explicit CommitGate(std::uint16_t server_port);
  ~CommitGate();
  CommitGate(const CommitGate&) = delete;
  CommitGate& operator=(const CommitGate&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// The next commit meets this fault; once.
  void arm(CommitFault fault) { fault_ = fault; }
  /// True once an armed fault has happened.
  [[nodiscard]] bool sprung() const { return fault_ == CommitFault::kNone; }

 private:
  void accept_all();
  void pass(int client);

  const std::uint16_t server_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<CommitFault> fault_ = CommitFault::kNone;
  std::atomic<bool> ending_ = false;
  std::mutex mutex_;
  std::list<std::thread> threads_;  // guarded by mutex_
  std::thread acceptor_;
};

}  // namespace millrace::support
