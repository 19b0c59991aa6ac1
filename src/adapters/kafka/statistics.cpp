#include "adapters/kafka/statistics.h"

#include <algorithm>

#include <boost/json.hpp>

namespace millrace::adapters::kafka {
namespace {

namespace json = boost::json;

std::int64_t number(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

std::uint64_t counter(const json::object& object, std::string_view name) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(number(object, name), 0));
}

std::string text(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

BrokerStatistics broker_of(const json::object& object) {
  BrokerStatistics broker;
  broker.id = static_cast<std::int32_t>(number(object, "nodeid"));
  broker.name = text(object, "name");
  broker.is_up = text(object, "state") == "UP";
  broker.requests_queued = number(object, "outbuf_cnt");
  broker.requests_in_flight = number(object, "waitresp_cnt");
  if (const json::value* const rtt = object.if_contains("rtt"); rtt != nullptr && rtt->is_object()) {
    broker.round_trip_us_avg = number(rtt->get_object(), "avg");
    broker.round_trip_us_p99 = number(rtt->get_object(), "p99");
  }
  broker.requests = counter(object, "tx");
  broker.send_errors = counter(object, "txerrs");
  broker.receive_errors = counter(object, "rxerrs");
  broker.retries = counter(object, "txretries");
  broker.timeouts = counter(object, "req_timeouts");
  return broker;
}

}  // namespace

base::Result<ClientStatistics> parse_statistics(std::string_view text_json) {
  boost::system::error_code failed;
  const json::value document = json::parse(text_json, failed);
  if (failed || !document.is_object())
    return base::invalid("the statistics of the Kafka client are not a JSON object");
  const json::object& object = document.get_object();
  ClientStatistics statistics;
  statistics.client_id = text(object, "client_id");
  statistics.type = text(object, "type");
  statistics.messages_queued = number(object, "msg_cnt");
  statistics.bytes_queued = number(object, "msg_size");
  statistics.operations_queued = number(object, "replyq");
  statistics.messages_sent = counter(object, "txmsgs");
  statistics.messages_received = counter(object, "rxmsgs");
  if (const json::value* const brokers = object.if_contains("brokers");
      brokers != nullptr && brokers->is_object())
    for (const auto& entry : brokers->get_object())
      // Addresses to begin with, and coordinators as such, have no id of a broker.
      if (entry.value().is_object() && number(entry.value().get_object(), "nodeid") >= 0)
        statistics.brokers.push_back(broker_of(entry.value().get_object()));
  std::ranges::sort(statistics.brokers, {}, &BrokerStatistics::id);
  return statistics;
}

}  // namespace millrace::adapters::kafka
