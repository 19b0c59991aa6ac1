#include "connect/registry.h"

#include <array>

#include <boost/json/object.hpp>

#include "base/json.h"
#include "base/text.h"

namespace millrace::connect {
namespace {

constexpr std::array<std::string_view, 5> kColumns = {"name", "config", "state", "restarts", "revision"};
constexpr std::string_view kFormat = "JSONEachRow";

base::Result<std::uint64_t> number_of(const boost::json::object& row, std::string_view name) {
  MILLRACE_TRY_ASSIGN(const std::string_view text, base::string_member(row, name));
  const auto number = base::parse_int<std::uint64_t>(text);
  if (!number) return base::unavailable("the warehouse's answer about the connector cannot be read");
  return *number;
}

}  // namespace

base::Result<Connector> WarehouseRegistry::read(base::Deadline deadline) {
  const std::array<ports::QueryParameter, 1> parameters = {{{"name", std::string(kConnectorName)}}};
  MILLRACE_TRY_ASSIGN(
      const std::string answer,
      warehouse_.query("SELECT config, toString(state) AS state_text, toString(restarts) AS restarts_text, "
                       "toString(revision) AS revision_text FROM analytics.connectors FINAL "
                       "WHERE name = {name:String}",
                       kFormat, parameters, deadline));
  if (base::trim(answer).empty()) return Connector{.config = built_in_};
  MILLRACE_TRY_ASSIGN(const boost::json::value document, base::parse_json(base::trim(answer)));
  if (!document.is_object())
    return base::unavailable("the warehouse's answer about the connector cannot be read");
  const boost::json::object& row = document.get_object();
  Connector connector;
  MILLRACE_TRY_ASSIGN(const std::string_view config, base::string_member(row, "config"));
  MILLRACE_TRY_ASSIGN(connector.config, parse_config(config));
  // What an earlier version wrote may hold a secret that it did not take for one.
  connector.config = masked(std::move(connector.config));
  MILLRACE_TRY_ASSIGN(const std::string_view state, base::string_member(row, "state_text"));
  MILLRACE_TRY_ASSIGN(connector.target, parse_target_state(state));
  MILLRACE_TRY_ASSIGN(connector.restarts, number_of(row, "restarts_text"));
  MILLRACE_TRY_ASSIGN(connector.revision, number_of(row, "revision_text"));
  return connector;
}

base::Result<void> WarehouseRegistry::write(const Connector& connector, base::Deadline deadline) {
  std::string row;
  base::JsonWriter json(row);
  json.begin_object().key("name").string(kConnectorName).key("config").string(config_json(connector.config));
  json.key("state").string(to_string(connector.target)).key("restarts").number(connector.restarts);
  json.key("revision").number(connector.revision).end_object();
  return warehouse_.insert("analytics.connectors", kColumns, kFormat, row + "\n", deadline);
}

}  // namespace millrace::connect
