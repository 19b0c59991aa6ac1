// A bounded pool of connections to one database.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "adapters/mysql/connection.h"

namespace millrace::adapters::mysql {

class Pool;

/// A connection taken from a pool; goes back when destroyed, unless it has become unusable.
class PooledConnection {
 public:
  PooledConnection(Pool& pool, std::unique_ptr<Connection> connection)
      : pool_(&pool), connection_(std::move(connection)) {}
  ~PooledConnection();
  PooledConnection(PooledConnection&& other) noexcept
      : pool_(other.pool_), connection_(std::move(other.connection_)) {}
  PooledConnection& operator=(PooledConnection&&) = delete;
  PooledConnection(const PooledConnection&) = delete;
  PooledConnection& operator=(const PooledConnection&) = delete;

  Connection& operator*() const { return *connection_; }
  Connection* operator->() const { return connection_.get(); }

  /// Closes the connection instead of releasing it, for example with a transaction of unknown state.
  void discard() { spoiled_ = true; }

 private:
  Pool* pool_;
  std::unique_ptr<Connection> connection_;
  bool spoiled_ = false;
};

/// Thread-safe. Connections are opened when needed and kept; a lost one is replaced on the next acquire.
/// Outlives its connections.
class Pool {
 public:
  Pool(ServerAddress address, std::size_t connections_max)
      : address_(std::move(address)), connections_max_(connections_max) {}

  /// Waits for a free connection until the deadline. Errors: kUnavailable (none free, server away), kFatal
  /// (refused).
  [[nodiscard]] base::Result<PooledConnection> acquire(base::Deadline deadline);

  [[nodiscard]] const ServerAddress& address() const { return address_; }

 private:
  friend class PooledConnection;
  void release(std::unique_ptr<Connection> connection);

  const ServerAddress address_;
  const std::size_t connections_max_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Connection>> idle_;  // guarded by mutex_
  std::size_t in_use_ = 0;                         // guarded by mutex_
};

}  // namespace millrace::adapters::mysql
