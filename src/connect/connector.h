// The connector of the sink: its configuration as Kafka Connect knows it, and what is asked of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::connect {

/// The only connector there is.
inline constexpr std::string_view kConnectorName = "clickhouse-sink-orders";
inline constexpr std::string_view kConnectorClass = "com.clickhouse.kafka.connect.ClickHouseSinkConnector";
inline constexpr std::string_view kTopic = "orders_analytics";

using Config = std::map<std::string, std::string>;

enum class TargetState {
  kRunning,
  kPaused,   ///< Loads nothing; its task is there.
  kStopped,  ///< Loads nothing; it has no task.
  kDeleted,  ///< Loads nothing; there is no connector until one is registered again.
};

/// "RUNNING", "PAUSED", "STOPPED", "DELETED".
[[nodiscard]] std::string_view to_string(TargetState state);
/// Errors: kInvalid.
[[nodiscard]] base::Result<TargetState> parse_target_state(std::string_view text);

/// What all sinks have been told.
struct Connector {
  Config config;  ///< Without secrets: those were masked before.
  TargetState target = TargetState::kRunning;
  std::uint64_t restarts = 0;  ///< How often a restart was asked for.
  std::uint64_t revision = 0;  ///< Grows with each change; 0: nobody has registered anything yet.
};

/// What is wrong with a key of a configuration.
struct ConfigProblem {
  std::string key;
  std::string message;
};

/// Empty if this is a configuration that the sink carries out: the topic, the table and the database that it
/// loads, and a class that stands for it. Keys that mean nothing to it are let be.
[[nodiscard]] std::vector<ConfigProblem> problems_of(const Config& config);

/// The configuration of the sink has no use for secrets, so none is kept: values of keys that name one become
/// "[hidden]", and secrets within other values, such as the password in a URL, "***". Of a configuration that
/// was masked before it changes nothing, so that what was shown can be sent back.
[[nodiscard]] Config masked(Config config);

/// An object of plain values; numbers and booleans become text, null is left out. Errors: kInvalid.
[[nodiscard]] base::Result<Config> parse_config(std::string_view json);
[[nodiscard]] std::string config_json(const Config& config);

struct NamedConfig {
  std::string name;
  Config config;
};
/// {"name": …, "config": {…}}, as a request and as the file kafka-connect/clickhouse-sink.json. Errors:
/// kInvalid.
[[nodiscard]] base::Result<NamedConfig> parse_named_config(std::string_view json);

}  // namespace millrace::connect
