// Reading partitions from any offset: consumers outside of any group, each partition with a queue of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "adapters/kafka/client.h"
#include "ports/event_log.h"

namespace millrace::adapters::kafka {

/// A reader that goes on where it stopped is served from what the client fetched ahead. PartitionConsumers of
/// the same partition at the same time get a client instance each, kConsumersMax at most. Thread-safe.
class PartitionConsumers {
 public:
  explicit PartitionConsumers(Client::Settings settings) : settings_(std::move(settings)) {}
  ~PartitionConsumers();
  PartitionConsumers(const PartitionConsumers&) = delete;
  PartitionConsumers& operator=(const PartitionConsumers&) = delete;

  /// As ports::EventLog::read and wait_any, of partitions that exist.
  [[nodiscard]] base::Result<std::vector<ports::Record>> read(const ports::TopicPartition& partition,
                                                              std::int64_t offset, ports::ReadLimit limit,
                                                              base::Deadline deadline);
  [[nodiscard]] base::Result<bool> wait_any(std::span<const ports::LogPosition> positions,
                                            base::Deadline deadline);
  /// The client behind the first reader of every partition, for questions about offsets.
  [[nodiscard]] base::Result<const Client*> client();
  /// Of each client that has counted yet.
  [[nodiscard]] std::vector<ClientStatistics> statistics() const;

 private:
  static constexpr std::size_t kConsumersMax = 16;

  /// Counts what arrives, so that nobody sleeps through an arrival between looking and waiting.
  struct Arrivals {
    std::mutex mutex;
    std::condition_variable came;
    std::uint64_t count = 0;  // guarded by mutex
    static void on_event(rd_kafka_t* handle, void* opaque);
    std::uint64_t seen();
    void wait(std::uint64_t seen, base::Deadline deadline);
  };
  struct Slot {
    const Client* client = nullptr;
    Topic topic;
    std::int32_t partition = 0;
    Queue queue;
    bool started = false;
    bool in_use = false;               // guarded by mutex_
    std::int64_t next = 0;             // the offset of the buffer's first record, or of what comes next
    std::deque<ports::Record> buffer;  // fetched, not yet read
    std::optional<rd_kafka_resp_err_t> ended;  // why nothing more comes
  };
  /// Gives the slot back.
  class Lease {
   public:
    Lease(PartitionConsumers& readers, Slot& slot) : owner_(&readers), slot_(&slot) {}
    ~Lease();
    Lease(Lease&& other) noexcept : owner_(other.owner_), slot_(std::exchange(other.slot_, nullptr)) {}
    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Slot& operator*() const { return *slot_; }

   private:
    PartitionConsumers* owner_;
    Slot* slot_;
  };

  [[nodiscard]] base::Result<Lease> lease(const ports::TopicPartition& partition, std::int64_t offset,
                                          base::Deadline deadline);
  [[nodiscard]] base::Result<const Client*> client_at(std::size_t index);
  [[nodiscard]] static base::Result<void> seek(Slot& slot, std::int64_t offset);
  static void stop(Slot& slot);
  static void drain_queue(Slot& slot);

  const Client::Settings settings_;
  Arrivals arrivals_;
  mutable std::mutex mutex_;
  std::condition_variable given_back_;
  std::vector<std::unique_ptr<Client>> clients_;                               // guarded by mutex_
  std::map<ports::TopicPartition, std::vector<std::unique_ptr<Slot>>> slots_;  // guarded by mutex_
};

}  // namespace millrace::adapters::kafka
