#include "app/wiring/event_log.h"

#include "adapters/kafka/kafka_event_log.h"
#include "adapters/kafka/kafka_log_inspector.h"
#include "adapters/rocksdb/rocksdb_event_log.h"

namespace millrace::app {

base::Result<std::map<std::string, std::string>> parse_client_settings(std::string_view text) {
  std::map<std::string, std::string> settings;
  while (!text.empty()) {
    const std::string_view entry = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), entry.size() + 1));
    if (entry.empty()) continue;
    const std::size_t equals = entry.find('=');
    // The text holds passwords: the error does not show it.
    if (equals == std::string_view::npos || equals == 0)
      return base::invalid("kafka.client must be written name=value;name=value");
    settings[std::string(entry.substr(0, equals))] = entry.substr(equals + 1);
  }
  return settings;
}

std::filesystem::path event_log_directory(const Settings& settings) {
  return std::filesystem::path(settings.data_dir) / "event-log";
}

base::Result<InspectedLog> open_inspected_log(const Settings& settings, telemetry::Histogram fsync_duration) {
  InspectedLog opened;
  if (settings.event_log_kind == "kafka") {
    adapters::kafka::Options options;
    options.brokers = settings.kafka_brokers;
    options.replication_factor = static_cast<std::int16_t>(settings.kafka_replication_factor);
    options.min_in_sync = static_cast<std::int16_t>(settings.kafka_min_in_sync);
    options.session_timeout = settings.kafka_session_timeout;
    MILLRACE_TRY_ASSIGN(options.client_settings, parse_client_settings(settings.kafka_client));
    MILLRACE_TRY_ASSIGN(auto log, adapters::kafka::KafkaEventLog::open(options));
    opened.kafka = log.get();
    opened.log = std::move(log);
    MILLRACE_TRY_ASSIGN(opened.inspector, adapters::kafka::KafkaLogInspector::open(options));
    return opened;
  }
  adapters::rocksdb::Options options;
  options.directory = event_log_directory(settings);
  options.fsync = settings.event_log_fsync;
  options.fsync_duration = fsync_duration;
  MILLRACE_TRY_ASSIGN(auto log, adapters::rocksdb::RocksdbEventLog::open(options));
  opened.inspector = log->inspector();
  opened.log = std::move(log);
  return opened;
}

}  // namespace millrace::app
