#include "adapters/kafka/partition_consumers.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "adapters/kafka/errors.h"

namespace millrace::adapters::kafka {
namespace {

constexpr std::size_t kDrainMax = 1'000;  // records taken over from the client at a time
constexpr std::chrono::milliseconds kOutsidePause{50};

ports::Record record_of(const rd_kafka_message_t& message) {
  ports::Record record;
  record.offset = message.offset;
  if (message.key != nullptr) record.key.assign(static_cast<const char*>(message.key), message.key_len);
  if (message.payload != nullptr) record.value.assign(static_cast<const char*>(message.payload), message.len);
  record.time = base::utc_from_ms(std::max<std::int64_t>(rd_kafka_message_timestamp(&message, nullptr), 0));
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return record;
  record.headers.reserve(rd_kafka_header_cnt(headers));
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
    record.headers.push_back(
        {name, value == nullptr ? std::string() : std::string(static_cast<const char*>(value), size)});
  return record;
}

bool is_outside(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE || code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
}
bool is_gone(rd_kafka_resp_err_t code) {
  return classify(code).kind == base::ErrorKind::kNotFound;
}

}  // namespace

void PartitionConsumers::Arrivals::on_event(rd_kafka_t* /*handle*/, void* opaque) {
  auto& arrivals = *static_cast<Arrivals*>(opaque);
  {
    const std::lock_guard lock(arrivals.mutex);
    ++arrivals.count;
  }
  arrivals.came.notify_all();
}
std::uint64_t PartitionConsumers::Arrivals::seen() {
  const std::lock_guard lock(mutex);
  return count;
}
void PartitionConsumers::Arrivals::wait(std::uint64_t seen, base::Deadline deadline) {
  std::unique_lock lock(mutex);
  came.wait_until(lock, deadline.moment(), [&] { return count != seen; });
}

PartitionConsumers::Lease::~Lease() {
  if (slot_ == nullptr) return;
  {
    const std::lock_guard lock(owner_->mutex_);
    slot_->in_use = false;
  }
  owner_->given_back_.notify_all();
}

PartitionConsumers::~PartitionConsumers() {
  for (auto& [partition, slots] : slots_)
    for (const auto& slot : slots) {
      stop(*slot);
      rd_kafka_queue_cb_event_enable(slot->queue.get(), nullptr, nullptr);
    }
  slots_.clear();  // before the clients that they belong to
}

base::Result<const Client*> PartitionConsumers::client() {
  const std::lock_guard lock(mutex_);
  return client_at(0);
}

std::vector<ClientStatistics> PartitionConsumers::statistics() const {
  std::vector<ClientStatistics> all;
  const std::lock_guard lock(mutex_);
  for (const auto& client : clients_)
    if (auto one = client->statistics()) all.push_back(std::move(*one));
  return all;
}

/// With mutex_ held.
base::Result<const Client*> PartitionConsumers::client_at(std::size_t index) {
  while (clients_.size() <= index) {
    MILLRACE_TRY_ASSIGN(auto client, Client::make(RD_KAFKA_CONSUMER, settings_, {}));
    clients_.push_back(std::move(client));
  }
  return clients_[index].get();
}

base::Result<PartitionConsumers::Lease> PartitionConsumers::lease(const ports::TopicPartition& partition,
                                                                  std::int64_t offset,
                                                                  base::Deadline deadline) {
  std::unique_lock lock(mutex_);
  auto& slots = slots_[partition];
  for (;;) {
    Slot* idle = nullptr;
    for (const auto& slot : slots)
      if (!slot->in_use && (idle == nullptr || slot->next == offset)) idle = slot.get();
    if (idle == nullptr && slots.size() < kConsumersMax) {
      MILLRACE_TRY_ASSIGN(const Client* const client, client_at(slots.size()));
      auto slot = std::make_unique<Slot>();
      slot->client = client;
      slot->topic.reset(rd_kafka_topic_new(client->get(), partition.topic.c_str(), nullptr));
      if (!slot->topic) return client->failed("read " + partition.topic, rd_kafka_last_error());
      slot->partition = partition.partition;
      slot->queue.reset(rd_kafka_queue_new(client->get()));
      rd_kafka_queue_cb_event_enable(slot->queue.get(), &Arrivals::on_event, &arrivals_);
      idle = slots.emplace_back(std::move(slot)).get();
    }
    if (idle != nullptr) {
      idle->in_use = true;
      return Lease(*this, *idle);
    }
    if (given_back_.wait_until(lock, deadline.moment()) == std::cv_status::timeout)
      return base::unavailable(fmt::format("partition {} of {} has too many readers at once",
                                           partition.partition, partition.topic));
  }
}

void PartitionConsumers::stop(Slot& slot) {
  if (!slot.started) return;
  rd_kafka_consume_stop(slot.topic.get(), slot.partition);
  slot.started = false;
  slot.buffer.clear();
  slot.ended.reset();
}

base::Result<void> PartitionConsumers::seek(Slot& slot, std::int64_t offset) {
  if (slot.started && !slot.ended) {
    if (offset > slot.next && !slot.buffer.empty() && offset <= slot.buffer.back().offset) {
      while (slot.buffer.front().offset < offset) slot.buffer.pop_front();
      slot.next = offset;
    }
    if (slot.next == offset) return {};
  }
  stop(slot);
  if (rd_kafka_consume_start_queue(slot.topic.get(), slot.partition, offset, slot.queue.get()) != 0)
    return slot.client->failed(
        fmt::format("read {}/{}", rd_kafka_topic_name(slot.topic.get()), slot.partition),
        rd_kafka_last_error());
  slot.started = true;
  slot.next = offset;
  return {};
}

/// Takes over what has arrived; never waits.
void PartitionConsumers::drain_queue(Slot& slot) {
  slot.client->hear();
  std::array<rd_kafka_message_t*, kDrainMax> messages{};
  while (slot.buffer.size() < kDrainMax && !slot.ended) {
    const auto count = rd_kafka_consume_batch_queue(slot.queue.get(), 0, messages.data(), messages.size());
    if (count <= 0) return;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      rd_kafka_message_t* const message = messages[i];
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->offset >= slot.next) slot.buffer.push_back(record_of(*message));
      } else if (is_outside(message->err) || is_gone(message->err)) {
        slot.ended = message->err;
      }
      rd_kafka_message_destroy(message);
    }
  }
}

base::Result<std::vector<ports::Record>> PartitionConsumers::read(const ports::TopicPartition& partition,
                                                                  std::int64_t offset, ports::ReadLimit limit,
                                                                  base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const Lease leased, lease(partition, offset, deadline));
  Slot& slot = *leased;
  MILLRACE_TRY(seek(slot, offset));
  for (;;) {
    const std::uint64_t seen = arrivals_.seen();
    drain_queue(slot);
    if (!slot.buffer.empty()) break;
    if (slot.ended) {
      const rd_kafka_resp_err_t why = *slot.ended;
      stop(slot);
      if (is_gone(why))
        return base::not_found(
            fmt::format("there is no partition {} of topic {}", partition.partition, partition.topic));
      return base::invalid(fmt::format("offset {} of {}/{} lies outside of the log", offset, partition.topic,
                                       partition.partition));
    }
    if (deadline.passed()) return std::vector<ports::Record>{};
    arrivals_.wait(seen, deadline);
  }
  std::vector<ports::Record> records;
  std::size_t bytes = 0;
  while (!slot.buffer.empty() && records.size() < limit.records_max) {
    bytes += ports::bytes_of(slot.buffer.front());
    if (!records.empty() && bytes > limit.bytes_max) break;
    records.push_back(std::move(slot.buffer.front()));
    slot.buffer.pop_front();
    slot.next = records.back().offset + 1;
  }
  return records;
}

base::Result<bool> PartitionConsumers::wait_any(std::span<const ports::LogPosition> positions,
                                                base::Deadline deadline) {
  std::vector<Lease> leases;
  leases.reserve(positions.size());
  for (const ports::LogPosition& position : positions) {
    MILLRACE_TRY_ASSIGN(Lease leased, lease(position.partition, position.offset, deadline));
    MILLRACE_TRY(seek(*leased, position.offset));
    leases.push_back(std::move(leased));
  }
  for (;;) {
    const std::uint64_t seen = arrivals_.seen();
    base::Deadline until = deadline;
    for (std::size_t i = 0; i < leases.size(); ++i) {
      Slot& slot = *leases[i];
      drain_queue(slot);
      if (!slot.buffer.empty()) return true;
      if (!slot.ended) continue;
      if (is_gone(*slot.ended)) {
        stop(slot);
        return base::not_found(fmt::format("there is no partition {} of topic {}",
                                           positions[i].partition.partition, positions[i].partition.topic));
      }
      // Beyond the end: nobody tells us when the log has grown to it.
      if (until.left() > kOutsidePause) until = base::Deadline::in(kOutsidePause);
    }
    if (deadline.passed()) return false;
    arrivals_.wait(seen, until);
    for (std::size_t i = 0; i < leases.size(); ++i) {
      Slot& slot = *leases[i];
      if (!slot.ended) continue;
      stop(slot);
      MILLRACE_TRY(seek(slot, positions[i].offset));
    }
  }
}

}  // namespace millrace::adapters::kafka
