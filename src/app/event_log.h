// The event log that the settings name.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "app/settings.h"
#include "base/result.h"
#include "ports/event_log.h"

namespace millrace::app {

/// Embedded: opened and recovered, in the data directory. Kafka: not connected yet. Errors: kConflict (the
/// embedded log is open elsewhere), kInvalid (kafka.client), kFatal (damaged).
[[nodiscard]] base::Result<std::unique_ptr<ports::EventLog>> open_event_log(const Settings& settings);

/// "name=value;name=value". Errors: kInvalid.
[[nodiscard]] base::Result<std::map<std::string, std::string>> parse_client_settings(std::string_view text);

}  // namespace millrace::app
