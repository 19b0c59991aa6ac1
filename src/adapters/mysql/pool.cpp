#include "adapters/mysql/pool.h"

#include <utility>

#include <fmt/format.h>

namespace millrace::adapters::mysql {

PooledConnection::~PooledConnection() {
  if (connection_ == nullptr) return;  // moved from
  if (spoiled_ || !connection_->usable()) connection_.reset();
  pool_->release(std::move(connection_));
}

base::Result<PooledConnection> Pool::acquire(base::Deadline deadline) {
  std::unique_ptr<Connection> connection;
  {
    std::unique_lock lock(mutex_);
    if (!freed_.wait_until(lock, deadline.moment(), [this] { return in_use_ < connections_max_; }))
      return base::unavailable(
          fmt::format("all {} connections to {} are busy", connections_max_, address_.shown()));
    ++in_use_;
    // The last one back is the warmest: its statements are prepared.
    while (!idle_.empty() && connection == nullptr) {
      connection = std::move(idle_.back());
      idle_.pop_back();
      if (!connection->looks_alive()) connection.reset();
    }
  }
  if (connection != nullptr) return PooledConnection(*this, std::move(connection));
  auto opened = Connection::open(address_, address_.database, Isolation::kReadCommitted, deadline);
  if (!opened) {
    release(nullptr);
    return std::unexpected(std::move(opened).error());
  }
  return PooledConnection(*this, std::move(*opened));
}

void Pool::release(std::unique_ptr<Connection> connection) {
  {
    const std::lock_guard lock(mutex_);
    --in_use_;
    if (connection != nullptr) idle_.push_back(std::move(connection));
  }
  freed_.notify_one();
}

}  // namespace millrace::adapters::mysql
