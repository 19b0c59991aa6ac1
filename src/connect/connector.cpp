#include "connect/connector.h"

#include <algorithm>
#include <array>
#include <optional>

#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "base/json.h"
#include "base/redaction.h"
#include "base/text.h"

namespace millrace::connect {
namespace {

constexpr std::size_t kKeysMax = 200;
constexpr std::size_t kTextBytesMax = 8'192;
constexpr std::string_view kHidden = "[hidden]";  // as Kafka Connect prints a password
constexpr std::array<std::string_view, 4> kStates = {"RUNNING", "PAUSED", "STOPPED", "DELETED"};
// Kafka Connect takes a class by its full name, its simple name, and that without "Connector".
constexpr std::array<std::string_view, 3> kClasses = {kConnectorClass, "ClickHouseSinkConnector",
                                                      "ClickHouseSink"};

base::Result<std::string> text_of(std::string_view key, const boost::json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_bool()) return std::string(value.get_bool() ? "true" : "false");
  if (value.is_int64()) return std::to_string(value.get_int64());
  if (value.is_uint64()) return std::to_string(value.get_uint64());
  if (value.is_double()) return fmt::format("{}", value.get_double());
  return base::invalid(
      fmt::format("'{}' must be a text, a number or true or false", base::printable(key, 100)));
}

base::Result<Config> config_of(const boost::json::object& object) {
  if (object.size() > kKeysMax)
    return base::invalid(fmt::format("a configuration has at most {} keys", kKeysMax));
  Config config;
  for (const auto& [key, value] : object) {
    if (value.is_null()) continue;
    MILLRACE_TRY_ASSIGN(std::string text, text_of(key, value));
    if (key.empty() || key.size() > kTextBytesMax || text.size() > kTextBytesMax)
      return base::invalid(fmt::format("keys and values have at most {} bytes", kTextBytesMax));
    config.emplace(std::string(key), std::move(text));
  }
  return config;
}

std::optional<std::string_view> value_of(const Config& config, const std::string& key) {
  const auto found = config.find(key);
  if (found == config.end()) return std::nullopt;
  return base::trim(found->second);
}

}  // namespace

std::string_view to_string(TargetState state) {
  return kStates.at(static_cast<std::size_t>(state));
}

base::Result<TargetState> parse_target_state(std::string_view text) {
  for (std::size_t i = 0; i < kStates.size(); ++i)
    if (kStates.at(i) == text) return static_cast<TargetState>(i);
  return base::invalid(fmt::format("'{}' is not a state of a connector", base::printable(text, 40)));
}

std::vector<ConfigProblem> problems_of(const Config& config) {
  std::vector<ConfigProblem> problems;
  const auto add = [&](std::string_view key, std::string message) {
    problems.push_back({std::string(key), std::move(message)});
  };
  if (const auto name = value_of(config, "name"); name && *name != kConnectorName)
    add("name", fmt::format("this sink is the connector {}", kConnectorName));
  if (const auto given = value_of(config, "connector.class"); !given || given->empty())
    add("connector.class", fmt::format("must be given: {}", kConnectorClass));
  else if (std::ranges::find(kClasses, *given) == kClasses.end())
    add("connector.class", fmt::format("this sink stands for {} alone", kConnectorClass));
  if (const auto topics = value_of(config, "topics"); !topics || *topics != kTopic)
    add("topics", fmt::format("must be {}: this sink loads no other topic", kTopic));
  if (const auto pattern = value_of(config, "topics.regex"); pattern && !pattern->empty())
    add("topics.regex", fmt::format("cannot be used: this sink loads {}", kTopic));
  if (const auto database = value_of(config, "database"); !database || *database != "analytics")
    add("database", "must be analytics: this sink loads analytics.orders_analytics");
  if (const auto map = value_of(config, "topic2TableMap");
      map && !map->empty() && *map != fmt::format("{0}={0}", kTopic))
    add("topic2TableMap", fmt::format("{} is loaded into the table of the same name", kTopic));
  if (const auto tasks = value_of(config, "tasks.max");
      tasks && base::parse_int<std::int32_t>(*tasks).value_or(0) < 1)
    add("tasks.max", "must be a whole number from 1");
  return problems;
}

Config masked(Config config) {
  for (auto& [key, value] : config)
    value = base::is_secret_key(key) ? std::string(kHidden) : base::without_secrets(value);
  return config;
}

base::Result<Config> parse_config(std::string_view json) {
  MILLRACE_TRY_ASSIGN(const boost::json::value document, base::parse_json(json));
  if (!document.is_object()) return base::invalid("the configuration must be a JSON object");
  return config_of(document.get_object());
}

std::string config_json(const Config& config) {
  std::string text = "{";
  for (const auto& [key, value] : config) {
    if (text.size() > 1) text += ',';
    base::append_json_string(text, key);
    text += ':';
    base::append_json_string(text, value);
  }
  return text + '}';
}

base::Result<NamedConfig> parse_named_config(std::string_view json) {
  MILLRACE_TRY_ASSIGN(const boost::json::value document, base::parse_json(json));
  if (!document.is_object()) return base::invalid("the request must be a JSON object");
  MILLRACE_TRY_ASSIGN(const std::string_view name, base::string_member(document.get_object(), "name"));
  const boost::json::value* const config = base::find_member(document.get_object(), "config");
  if (config == nullptr || !config->is_object()) return base::invalid("'config' must be a JSON object");
  NamedConfig named{std::string(base::trim(name)), {}};
  MILLRACE_TRY_ASSIGN(named.config, config_of(config->get_object()));
  return named;
}

}  // namespace millrace::connect
