// Sending records: the idempotent producer, and appends under way.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "adapters/kafka/client.h"
#include "adapters/kafka/options.h"
#include "adapters/kafka/record_limit.h"
#include "ports/event_log.h"

namespace millrace::adapters::kafka {

/// An idempotent producer and the thread that takes in its reports.
class Producer {
 public:
  /// Connects to nothing yet. Errors: kInvalid (settings).
  [[nodiscard]] static base::Result<std::unique_ptr<Producer>> make(const Client::Settings& settings);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  [[nodiscard]] const Client& client() const { return *client_; }
  /// Once the client has lost what makes it idempotent, it takes nothing any more.
  [[nodiscard]] bool is_broken() const;

 private:
  Producer() = default;
  std::unique_ptr<Client> client_;
  std::jthread reports_;
};

/// The producer of the moment: replaced when it is broken, or when batches may be of another size.
/// Thread-safe.
class CurrentProducer {
 public:
  CurrentProducer(const Options& options, const RecordLimit& limit) : options_(options), limit_(limit) {}
  /// Makes the first one. Errors: kInvalid (settings).
  [[nodiscard]] base::Result<void> open();
  /// Whoever has it keeps it: what it was given is sent also when there is another one.
  [[nodiscard]] std::shared_ptr<Producer> get();
  [[nodiscard]] std::optional<ClientStatistics> statistics() const;

 private:
  const Options& options_;
  const RecordLimit& limit_;
  mutable std::mutex mutex_;
  std::shared_ptr<Producer> producer_;  // guarded by mutex_, as the next
  std::size_t batch_bytes_ = 0;         // that it was made with
};

/// What an append waits for: the reports of all of its records. It lives until the last report, whoever
/// waits.
class Delivery : public std::enable_shared_from_this<Delivery> {
 public:
  /// Before the first record is handed over; then `expect` says how many there were.
  void start() { self_ = shared_from_this(); }
  void expect(std::size_t records);
  void report(const rd_kafka_message_t& message);

  struct Failure {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    ports::TopicPartition partition;
  };
  struct Outcome {
    bool complete = false;
    std::optional<Failure> failure;  // the first
    std::int64_t first = -1;         // of an append to one partition
  };
  [[nodiscard]] Outcome wait(base::Deadline deadline);

 private:
  void finish_if_complete();

  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t expected_ = SIZE_MAX;  // guarded by mutex_, as all below
  std::size_t reported_ = 0;
  std::int64_t first_ = -1;
  std::optional<Failure> failure_;
  std::shared_ptr<Delivery> self_;  // as long as reports are to come
};

/// Hands records to a producer and waits for their reports.
class ProducerAppend final : public ports::PendingAppend {
 public:
  /// What a failure of a record of that partition means to the caller; `largest` is the largest record.
  using Explain = std::function<base::Error(const Client&, const std::string& doing, const Delivery::Failure&,
                                            std::size_t largest)>;
  /// `first` is the partition that is looked at when nothing is acknowledged.
  ProducerAppend(std::shared_ptr<Producer> producer, ports::TopicPartition first, std::string doing,
                 Explain explain);
  ~ProducerAppend() override;
  ProducerAppend(const ProducerAppend&) = delete;
  ProducerAppend& operator=(const ProducerAppend&) = delete;

  /// The caller sees to it that the records of one append stay together.
  [[nodiscard]] base::Result<void> hand_over(const ports::TopicPartition& partition,
                                             std::span<const ports::NewRecord> records,
                                             base::Deadline deadline);
  /// No record is handed over any more.
  void complete();

  base::Result<bool> wait(base::Deadline deadline) override;
  /// Negative if the brokers did not say: they had the records already when the client asked again.
  [[nodiscard]] base::Result<std::int64_t> first_offset(base::Deadline deadline);

 private:
  [[nodiscard]] base::Result<Delivery::Outcome> outcome_by(base::Deadline deadline);
  [[nodiscard]] std::unexpected<base::Error> failed(const Delivery::Failure& failure);

  const ports::TopicPartition first_;
  const std::string doing_;
  const Explain explain_;
  const std::shared_ptr<Producer> producer_;
  const std::shared_ptr<Delivery> delivery_ = std::make_shared<Delivery>();
  std::size_t sent_ = 0;
  std::size_t largest_ = 0;
  bool is_complete_ = false;
};

}  // namespace millrace::adapters::kafka
