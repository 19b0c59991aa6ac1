#include "adapters/kafka/client.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace millrace::adapters::kafka {
namespace {

constexpr int kLogError = 3;  // syslog's numbers, which the library uses

base::ErrorKind kind_of(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return base::ErrorKind::kNotFound;
    // The assignment is no longer ours.
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
    case RD_KAFKA_RESP_ERR__NO_OFFSET:
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
      return base::ErrorKind::kConflict;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
      return base::ErrorKind::kRejected;
    case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return base::ErrorKind::kInvalid;
    default:
      // Refused credentials too: what the brokers let in changes without us, so we go on asking.
      return base::ErrorKind::kUnavailable;
  }
}

}  // namespace

int timeout_ms(base::Deadline deadline) {
  return static_cast<int>(std::min<std::int64_t>(deadline.left().count(), 24 * 3'600'000));
}

base::Result<std::unique_ptr<Client>> Client::make(rd_kafka_type_t type, const Settings& settings,
                                                   const Callbacks& callbacks) {
  std::array<char, 512> trouble{};
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), trouble.data(), trouble.size()) ==
        RD_KAFKA_CONF_OK)
      continue;
    rd_kafka_conf_destroy(conf);
    return base::invalid(
        fmt::format("the Kafka client does not take the setting '{}': {}", name, trouble.data()));
  }
  std::unique_ptr<Client> client(new Client);
  client->own_->callbacks = callbacks;
  rd_kafka_conf_set_opaque(conf, client->own_.get());
  rd_kafka_conf_set_error_cb(conf, &Client::on_error);
  rd_kafka_conf_set_log_cb(conf, &Client::on_log);
  if (callbacks.deliveries != nullptr) rd_kafka_conf_set_dr_msg_cb(conf, callbacks.deliveries);
  if (callbacks.rebalance != nullptr) rd_kafka_conf_set_rebalance_cb(conf, &Client::on_rebalance);
  client->handle_ = rd_kafka_new(type, conf, trouble.data(), trouble.size());
  if (client->handle_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return base::invalid(fmt::format("the Kafka client cannot be made: {}", trouble.data()));
  }
  return client;
}

Client::~Client() {
  if (handle_ == nullptr) return;
  // What waits for a broker is given up: whoever waited for it has gone. The flush waits for nothing; it
  // hands out the reports of what was given up.
  rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  if (rd_kafka_type(handle_) == RD_KAFKA_PRODUCER) rd_kafka_flush(handle_, 0);
  rd_kafka_destroy(handle_);
}

void Client::on_error(rd_kafka_t* /*handle*/, int code, const char* reason, void* opaque) {
  auto& own = *static_cast<Own*>(opaque);
  const std::lock_guard lock(own.mutex);
  if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) own.last_trouble = reason;
  spdlog::debug("kafka: {}", reason);
}

void Client::on_log(const rd_kafka_t* /*handle*/, int level, const char* facility, const char* text) {
  // Lost connections are its errors too; we say what follows from them where it matters.
  if (level <= kLogError) {
    spdlog::debug("kafka: {}: {}", facility, text);
  } else {
    spdlog::trace("kafka: {}: {}", facility, text);
  }
}

void Client::on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* list,
                          void* opaque) {
  const Own& own = *static_cast<Own*>(opaque);
  own.callbacks.rebalance(handle, code, list, own.callbacks.opaque);
}

std::unexpected<base::Error> Client::failed(const std::string& doing, rd_kafka_resp_err_t code,
                                            const char* text) const {
  const base::ErrorKind kind = kind_of(code);
  std::string message = fmt::format("{}: {}", doing, text != nullptr ? text : rd_kafka_err2str(code));
  if (kind == base::ErrorKind::kUnavailable) {
    const std::lock_guard lock(own_->mutex);
    if (!own_->last_trouble.empty()) message += fmt::format(" ({})", own_->last_trouble);
  }
  return base::fail(kind, std::move(message), static_cast<int>(code));
}

base::Result<Event> Client::ask(
    const std::string& doing, rd_kafka_admin_op_t operation, base::Deadline deadline,
    const std::function<void(const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& request) const {
  const std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>> options(
      rd_kafka_AdminOptions_new(handle_, operation));
  std::array<char, 256> trouble{};
  const int wait_ms = std::max(timeout_ms(deadline), 1);
  if (rd_kafka_AdminOptions_set_request_timeout(options.get(), wait_ms, trouble.data(), trouble.size()) !=
      RD_KAFKA_RESP_ERR_NO_ERROR)
    return base::fatal(fmt::format("{}: {}", doing, trouble.data()));
  const Queue queue(rd_kafka_queue_new(handle_));
  request(options.get(), queue.get());
  Event event(rd_kafka_queue_poll(queue.get(), wait_ms + 1'000));
  if (!event) return failed(doing, RD_KAFKA_RESP_ERR__TIMED_OUT);
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return failed(doing, code, rd_kafka_event_error_string(event.get()));
  return event;
}

}  // namespace millrace::adapters::kafka
