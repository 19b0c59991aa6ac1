// The event log that the settings name.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "adapters/kafka/kafka_event_log.h"
#include "app/config/settings.h"
#include "base/result.h"
#include "ports/event_log.h"
#include "ports/log_inspector.h"
#include "telemetry/registry.h"

namespace millrace::app {

struct InspectedLog {
  std::unique_ptr<ports::EventLog> log;
  std::unique_ptr<ports::LogInspector> inspector;   ///< Looks at `log`; goes before it.
  adapters::kafka::KafkaEventLog* kafka = nullptr;  ///< `log`, when it is Kafka.
};

/// Embedded: opened and recovered, in the data directory. Kafka: not connected yet. Errors: kConflict (the
/// embedded log is open elsewhere), kInvalid (kafka.client), kFatal (damaged).
[[nodiscard]] base::Result<InspectedLog> open_inspected_log(const Settings& settings,
                                                            telemetry::Histogram fsync_duration = {});

/// Where the embedded log lies.
[[nodiscard]] std::filesystem::path event_log_directory(const Settings& settings);

/// "name=value;name=value". Errors: kInvalid.
[[nodiscard]] base::Result<std::map<std::string, std::string>> parse_client_settings(std::string_view text);

}  // namespace millrace::app
