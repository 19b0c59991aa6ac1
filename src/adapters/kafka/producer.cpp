#include "adapters/kafka/producer.h"

#include <algorithm>
#include <array>

#include <spdlog/spdlog.h>

#include "adapters/kafka/errors.h"
#include "adapters/kafka/settings.h"

namespace millrace::adapters::kafka {
namespace {

using base::Deadline;
using base::Result;
using ports::TopicPartition;

constexpr std::chrono::milliseconds kQueueFullPause{5};

/// What the client takes for one record; it copies key and value.
std::array<rd_kafka_vu_t, 8> fields_of(const TopicPartition& partition, const ports::NewRecord& record,
                                       rd_kafka_headers_t* headers, void* opaque) {
  std::array<rd_kafka_vu_t, 8> fields{};
  fields[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  fields[0].u.cstr = partition.topic.c_str();
  fields[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  fields[1].u.i32 = partition.partition;
  fields[2].vtype = RD_KAFKA_VTYPE_KEY;
  fields[2].u.mem = {const_cast<char*>(record.key.data()), record.key.size()};
  fields[3].vtype = RD_KAFKA_VTYPE_VALUE;
  fields[3].u.mem = {const_cast<char*>(record.value.data()), record.value.size()};
  fields[4].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  fields[4].u.i64 = base::to_ms(record.time);
  fields[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  fields[5].u.headers = headers;
  fields[6].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  fields[6].u.i = RD_KAFKA_MSG_F_COPY;
  fields[7].vtype = RD_KAFKA_VTYPE_OPAQUE;
  fields[7].u.ptr = opaque;
  return fields;
}

void on_delivery(rd_kafka_t* /*handle*/, const rd_kafka_message_t* message, void* /*opaque*/) {
  static_cast<Delivery*>(message->_private)->report(*message);
}

}  // namespace

Result<std::unique_ptr<Producer>> Producer::make(const Client::Settings& settings) {
  std::unique_ptr<Producer> producer(new Producer);
  MILLRACE_TRY_ASSIGN(producer->client_,
                      Client::make(RD_KAFKA_PRODUCER, settings, {.deliveries = &on_delivery}));
  producer->reports_ = std::jthread([handle = producer->client_->get()](const std::stop_token& stop) {
    while (!stop.stop_requested()) rd_kafka_poll(handle, 100);
  });
  return producer;
}

Producer::~Producer() {
  reports_.request_stop();
  if (reports_.joinable()) reports_.join();
}

bool Producer::is_broken() const {
  return rd_kafka_fatal_error(client_->get(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

Result<void> CurrentProducer::open() {
  const std::lock_guard lock(mutex_);
  batch_bytes_ = limit_.batch_bytes();
  MILLRACE_TRY_ASSIGN(producer_, Producer::make(producer_settings(options_, batch_bytes_)));
  return {};
}

std::shared_ptr<Producer> CurrentProducer::get() {
  const std::size_t batch_bytes = limit_.batch_bytes();
  const std::lock_guard lock(mutex_);
  const bool is_outdated = batch_bytes != batch_bytes_;
  if (!is_outdated && !producer_->is_broken()) return producer_;
  if (auto fresh = Producer::make(producer_settings(options_, batch_bytes))) {
    if (!is_outdated) spdlog::info("kafka: the producer is replaced after a break in its sequence");
    producer_ = std::move(*fresh);
    batch_bytes_ = batch_bytes;
  }
  return producer_;
}

std::optional<ClientStatistics> CurrentProducer::statistics() const {
  const std::lock_guard lock(mutex_);
  return producer_->client().statistics();
}

void Delivery::expect(std::size_t records) {
  const std::lock_guard lock(mutex_);
  expected_ = records;
  finish_if_complete();
}

void Delivery::report(const rd_kafka_message_t& message) {
  std::shared_ptr<Delivery> kept;  // outlives the lock
  const std::lock_guard lock(mutex_);
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (!failure_) failure_ = Failure{message.err, {rd_kafka_topic_name(message.rkt), message.partition}};
  } else if (message.offset >= 0) {
    // Reports of one partition come in the order of its records.
    first_ = message.offset - static_cast<std::int64_t>(reported_);
  }
  ++reported_;
  kept = self_;
  finish_if_complete();
}

Delivery::Outcome Delivery::wait(Deadline deadline) {
  std::unique_lock lock(mutex_);
  done_.wait_until(lock, deadline.moment(), [&] { return reported_ == expected_; });
  return {reported_ == expected_, failure_, first_};
}

void Delivery::finish_if_complete() {
  if (reported_ != expected_) return;
  done_.notify_all();
  self_.reset();
}

ProducerAppend::ProducerAppend(std::shared_ptr<Producer> producer, TopicPartition first, std::string doing,
                               Explain explain)
    : first_(std::move(first)),
      doing_(std::move(doing)),
      explain_(std::move(explain)),
      producer_(std::move(producer)) {
  delivery_->start();
}

ProducerAppend::~ProducerAppend() {
  if (!is_complete_) delivery_->expect(sent_);
}

Result<void> ProducerAppend::hand_over(const TopicPartition& partition,
                                       std::span<const ports::NewRecord> records, Deadline deadline) {
  rd_kafka_t* const handle = producer_->client().get();
  for (const ports::NewRecord& record : records) {
    rd_kafka_headers_t* const headers = rd_kafka_headers_new(record.headers.size());
    for (const ports::Header& header : record.headers)
      rd_kafka_header_add(headers, header.name.data(), static_cast<ssize_t>(header.name.size()),
                          header.value.data(), static_cast<ssize_t>(header.value.size()));
    const auto fields = fields_of(partition, record, headers, delivery_.get());
    rd_kafka_resp_err_t refused = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (;;) {
      const VendorError error(rd_kafka_produceva(handle, fields.data(), fields.size()));
      refused = error ? rd_kafka_error_code(error.get()) : RD_KAFKA_RESP_ERR_NO_ERROR;
      if (refused != RD_KAFKA_RESP_ERR__QUEUE_FULL || deadline.passed()) break;
      std::this_thread::sleep_for(kQueueFullPause);
    }
    if (refused != RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_headers_destroy(headers);
      return failed({refused, partition});
    }
    ++sent_;
    largest_ = std::max(largest_, ports::bytes_of(record));
  }
  return {};
}

void ProducerAppend::complete() {
  delivery_->expect(sent_);
  is_complete_ = true;
}

Result<bool> ProducerAppend::wait(Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const Delivery::Outcome outcome, outcome_by(deadline));
  return outcome.complete;
}

Result<std::int64_t> ProducerAppend::first_offset(Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const Delivery::Outcome outcome, outcome_by(deadline));
  if (!outcome.complete) return failed({RD_KAFKA_RESP_ERR__TIMED_OUT, first_});
  return outcome.first;
}

Result<Delivery::Outcome> ProducerAppend::outcome_by(Deadline deadline) {
  Delivery::Outcome outcome = delivery_->wait(deadline);
  if (outcome.complete && outcome.failure) return failed(*outcome.failure);
  return outcome;
}

std::unexpected<base::Error> ProducerAppend::failed(const Delivery::Failure& failure) {
  return std::unexpected(explain_(producer_->client(), doing_, failure, largest_));
}

}  // namespace millrace::adapters::kafka
