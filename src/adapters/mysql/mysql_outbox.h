// Port Outbox over the MySQL protocol: a named lock per shard keeps one relay active, an epoch in
// relay_shards fences the others, relay_layout says into how many shards the outbox is divided.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "adapters/mysql/server_address.h"
#include "ports/outbox.h"

namespace millrace::adapters::mysql {

struct OutboxOptions {
  /// Into how many shards the outbox is divided: a row belongs to CRC-32 of its aggregate id modulo this.
  /// With a number of partitions that it divides, a shard owns whole partitions (ports::partition_of).
  std::int32_t shards = 1;
  /// The server drops an owner from which it hears nothing for so long, and with it the lock. Above the
  /// longest pause between two calls of a lease. Whole seconds count, rounded up.
  std::chrono::milliseconds silence_max{5'000};
  std::size_t fetch_bytes_max = std::size_t{32}
                                << 20;  ///< Payload of one fetch; the first row comes whatever its size.
};

/// Thread-safe. Connects when first used. Outlives its leases; a lease holds a connection of its own.
class MysqlOutbox final : public ports::Outbox {
 public:
  explicit MysqlOutbox(ServerAddress address, OutboxOptions options = {});
  ~MysqlOutbox() override;

  base::Result<std::unique_ptr<ports::OutboxLease>> acquire(std::int32_t shard,
                                                            base::Deadline deadline) override;
  base::Result<ports::OutboxDepth> depth(base::Deadline deadline) override;
  base::Result<std::size_t> remove_processed(base::UtcTime before, std::size_t rows_max,
                                             base::Deadline deadline) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::mysql
