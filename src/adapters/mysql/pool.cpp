#include "adapters/mysql/pool.h"

#include <utility>

#include <fmt/format.h>

namespace millrace::adapters::mysql {

Lent::~Lent() {
  if (connection_ == nullptr) return;  // moved from
  if (spoiled_ || !connection_->usable()) connection_.reset();
  pool_->give_back(std::move(connection_));
}

base::Result<Lent> Pool::take(base::Deadline deadline) {
  std::unique_ptr<Connection> connection;
  {
    std::unique_lock lock(mutex_);
    if (!freed_.wait_until(lock, deadline.moment(), [this] { return lent_ < connections_max_; }))
      return base::unavailable(
          fmt::format("all {} connections to {} are busy", connections_max_, address_.shown()));
    ++lent_;
    // The last one back is the warmest: its statements are prepared.
    while (!idle_.empty() && connection == nullptr) {
      connection = std::move(idle_.back());
      idle_.pop_back();
      if (!connection->looks_alive()) connection.reset();
    }
  }
  if (connection != nullptr) return Lent(*this, std::move(connection));
  auto opened = Connection::open(address_, address_.database, Isolation::kReadCommitted, deadline);
  if (!opened) {
    give_back(nullptr);
    return std::unexpected(std::move(opened).error());
  }
  return Lent(*this, std::move(*opened));
}

void Pool::give_back(std::unique_ptr<Connection> connection) {
  {
    const std::lock_guard lock(mutex_);
    --lent_;
    if (connection != nullptr) idle_.push_back(std::move(connection));
  }
  freed_.notify_one();
}

}  // namespace millrace::adapters::mysql
