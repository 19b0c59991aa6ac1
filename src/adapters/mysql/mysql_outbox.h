// Port Outbox over the MySQL protocol: a named lock per shard keeps one relay active, an epoch in
// relay_shards fences the others.
#pragma once

#include <cstdint>
#include <memory>

#include "adapters/mysql/server_address.h"
#include "ports/outbox.h"

namespace millrace::adapters::mysql {

struct OutboxOptions {
  /// A row belongs to the shard CRC32(aggregate id) mod `partitions` mod `shards`, so that a shard owns whole
  /// partitions of the topic. With one shard `partitions` is not used.
  std::int32_t shards = 1;
  std::int32_t partitions = 1;
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

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::mysql
