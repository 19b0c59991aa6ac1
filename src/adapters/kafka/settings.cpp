#include "adapters/kafka/settings.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::adapters::kafka {
namespace {

Client::Settings common_settings(const Options& options) {
  Client::Settings settings = options.client_settings;
  settings["bootstrap.servers"] = options.brokers;
  settings["client.id"] = options.client_id;
  settings["socket.keepalive.enable"] = "true";
  settings["reconnect.backoff.ms"] = "50";
  settings["reconnect.backoff.max.ms"] = "1000";
  // Partitions that are added, and topics that are recreated, are seen after this.
  settings["topic.metadata.refresh.interval.ms"] = "5000";
  settings["message.max.bytes"] = std::to_string(options.record_bytes_max + kTopicSpareBytes);
  settings["log.connection.close"] = "false";
  settings["statistics.interval.ms"] = std::to_string(options.statistics_interval.count());
  return settings;
}

}  // namespace

base::Result<void> check_brokers(std::string_view list) {
  const auto refuse = [&] {
    return base::invalid(
        fmt::format("kafka.brokers '{}' must be written host:port,host:port", base::printable(list, 200)));
  };
  for (std::string_view rest = list;;) {
    const std::size_t comma = rest.find(',');
    const std::string_view broker = base::trim(rest.substr(0, comma));
    const std::size_t colon = broker.rfind(':');
    const bool has_port = colon != std::string_view::npos && !broker.ends_with(']');
    const auto port = has_port ? base::parse_int<std::uint16_t>(broker.substr(colon + 1)) : std::uint16_t{1};
    if (broker.empty() || colon == 0 || broker.find_first_of("; \t=") != std::string_view::npos || !port ||
        *port == 0)
      return refuse();
    if (comma == std::string_view::npos) return {};
    rest.remove_prefix(comma + 1);
  }
}

Client::Settings producer_settings(const Options& options, std::size_t batch_bytes_max) {
  Client::Settings settings = common_settings(options);
  settings.erase("allow.auto.create.topics");  // it is a consumer's
  settings["enable.idempotence"] = "true";
  settings["acks"] = "all";
  // A batch that is refused for good takes what was sent after it along, instead of letting it overtake.
  settings["enable.gapless.guarantee"] = "true";
  settings["batch.size"] = std::to_string(std::min<std::size_t>(batch_bytes_max, 1'000'000));
  settings["linger.ms"] = "0";
  settings["retry.backoff.ms"] = "50";
  settings["message.timeout.ms"] = std::to_string(options.delivery_timeout.count());
  settings["queue.buffering.max.kbytes"] = "65536";
  settings["queue.buffering.max.messages"] = "200000";
  return settings;
}

Client::Settings consumer_settings(const Options& options, const std::string& group) {
  Client::Settings settings = common_settings(options);
  settings["allow.auto.create.topics"] = "false";
  // Without a group the library asks for a name all the same.
  settings["group.id"] = group.empty() ? options.client_id + "-readers" : group;
  settings["enable.auto.commit"] = "false";
  settings["enable.auto.offset.store"] = "false";
  settings["auto.offset.reset"] = "error";
  settings["fetch.wait.max.ms"] = "100";
  settings["fetch.error.backoff.ms"] = "50";
  settings["fetch.queue.backoff.ms"] = "5";
  settings["queued.max.messages.kbytes"] = "8192";
  settings["check.crcs"] = "true";
  if (group.empty()) return settings;
  settings["partition.assignment.strategy"] = "cooperative-sticky";
  settings["session.timeout.ms"] = std::to_string(options.session_timeout.count());
  settings["heartbeat.interval.ms"] =
      std::to_string(std::max<std::int64_t>(options.session_timeout.count() / 10, 100));
  return settings;
}

}  // namespace millrace::adapters::kafka
