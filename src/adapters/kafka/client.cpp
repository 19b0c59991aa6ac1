#include "adapters/kafka/client.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/kafka/errors.h"

namespace millrace::adapters::kafka {
namespace {

constexpr int kLogError = 3;  // syslog's numbers, which the library uses

// What a connection failed with says nothing about a call that fails much later.
constexpr std::chrono::seconds kTroubleLife{15};

/// The value of such a setting must not come back in the library's complaint about it.
bool may_hold_secret(const std::string& name) {
  for (const char* word : {"password", "secret", "pem", "key", "token", "config"})
    if (name.find(word) != std::string::npos) return true;
  return false;
}

}  // namespace

base::Result<Metadata> ask_metadata(const Client& client, base::Deadline deadline) {
  const rd_kafka_metadata_t* found = nullptr;
  if (const auto code =
          rd_kafka_metadata(client.get(), 1, nullptr, &found, std::max(timeout_ms(deadline), 1));
      code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    client.hear();
    return client.failed("ask the brokers what they have", code);
  }
  return Metadata(found);
}

std::string topic_id(const rd_kafka_TopicDescription_t* topic) {
  std::string id = rd_kafka_Uuid_base64str(rd_kafka_TopicDescription_topic_id(topic));
  std::ranges::replace(id, '+', '-');
  std::ranges::replace(id, '/', '_');
  return id;
}

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
    return base::invalid(fmt::format("the Kafka client does not take the setting '{}' of kafka.client{}{}",
                                     name, may_hold_secret(name) ? "" : ": ",
                                     may_hold_secret(name) ? "" : trouble.data()));
  }
  std::unique_ptr<Client> client(new Client);
  client->own_->callbacks = callbacks;
  rd_kafka_conf_set_opaque(conf, client->own_.get());
  rd_kafka_conf_set_error_cb(conf, &Client::on_error);
  rd_kafka_conf_set_log_cb(conf, &Client::on_log);
  rd_kafka_conf_set_stats_cb(conf, &Client::on_statistics);
  if (callbacks.deliveries != nullptr) rd_kafka_conf_set_dr_msg_cb(conf, callbacks.deliveries);
  if (callbacks.rebalance != nullptr) rd_kafka_conf_set_rebalance_cb(conf, &Client::on_rebalance);
  client->handle_ = rd_kafka_new(type, conf, trouble.data(), trouble.size());
  if (client->handle_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return base::invalid(
        fmt::format("the Kafka client cannot be made: {}; check kafka.client", trouble.data()));
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
  if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
    own.trouble = {static_cast<rd_kafka_resp_err_t>(code), plain_reason(reason),
                   std::chrono::steady_clock::now()};
  spdlog::debug("kafka: {}", reason);
}

int Client::on_statistics(rd_kafka_t* /*handle*/, char* json, std::size_t size, void* opaque) {
  auto& own = *static_cast<Own*>(opaque);
  if (auto parsed = parse_statistics({json, size})) {
    const std::lock_guard lock(own.mutex);
    own.statistics = std::move(*parsed);
  }
  return 0;  // the text stays the library's
}

std::optional<ClientStatistics> Client::statistics() const {
  const std::lock_guard lock(own_->mutex);
  return own_->statistics;
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
  std::string cause = text != nullptr ? text : rd_kafka_err2str(code);
  if (is_timeout(code)) {
    const std::lock_guard lock(own_->mutex);
    if (const Trouble& trouble = own_->trouble;
        !trouble.reason.empty() && std::chrono::steady_clock::now() - trouble.at < kTroubleLife) {
      code = trouble.code;
      cause = trouble.reason;
    } else if (text == nullptr) {
      cause = fmt::format("no answer from Kafka ({})", cause);
    }
  }
  const ErrorClass meaning = classify(code);
  std::string message = fmt::format("{}: {}", doing, cause);
  if (!meaning.advice.empty()) message += fmt::format("; {}", meaning.advice);
  return base::fail(meaning.kind, std::move(message), static_cast<int>(code));
}

void Client::hear() const {
  rd_kafka_poll(handle_, 0);
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
