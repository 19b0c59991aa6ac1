#include "app/cli/log_tables.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>

#include "base/json.h"
#include "base/numbers.h"
#include "base/text.h"
#include "base/text_table.h"
#include "base/url.h"

namespace millrace::app {
namespace {

using Array = boost::json::array;
using Object = boost::json::object;

constexpr std::size_t kNameShownMax = 60;
constexpr std::size_t kValueShownMax = 2'000;

base::Result<Object> parse(std::string_view json) {
  MILLRACE_TRY_ASSIGN(boost::json::value document, base::parse_json(json));
  if (!document.is_object()) return base::fatal("the answer about the event log is no JSON object");
  return std::move(document.get_object());
}

std::optional<std::int64_t> number(const Object& object, std::string_view name) {
  const auto found = base::int_member(object, name);
  return found ? std::optional(*found) : std::nullopt;
}
std::string text(const Object& object, std::string_view name, std::size_t length_max = kNameShownMax) {
  const auto found = base::string_member(object, name);
  return found ? base::printable(*found, length_max) : std::string();
}
bool flag(const Object& object, std::string_view name) {
  const auto* found = base::find_member(object, name);
  return found != nullptr && found->is_bool() && found->get_bool();
}
/// The objects of an array; none when it is not there.
std::vector<const Object*> objects(const Object& object, std::string_view name) {
  std::vector<const Object*> all;
  const auto* found = base::find_member(object, name);
  if (found == nullptr || !found->is_array()) return all;
  for (const auto& entry : found->get_array())
    if (entry.is_object()) all.push_back(&entry.get_object());
  return all;
}
std::string ids(const Object& object, std::string_view name) {
  std::string list;
  const auto* found = base::find_member(object, name);
  if (found == nullptr || !found->is_array()) return "-";
  for (const auto& entry : found->get_array())
    if (entry.is_int64()) list += (list.empty() ? "" : ",") + std::to_string(entry.get_int64());
  return list.empty() ? "none" : list;
}

/// "1,234,567"; "-" for nothing.
std::string grouped(std::optional<std::int64_t> value) {
  if (!value) return "-";
  const std::string digits = base::grouped(static_cast<std::uint64_t>(std::abs(*value)));
  return *value < 0 ? "-" + digits : digits;
}
std::string plain(std::optional<std::int64_t> value) {
  return value ? std::to_string(*value) : "-";
}
std::string counted(std::int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

std::string span_text(std::int64_t ms) {
  struct Unit {
    std::int64_t ms;
    std::string_view name;
  };
  static constexpr std::array kUnits{Unit{86'400'000, "d"}, Unit{3'600'000, "h"}, Unit{60'000, "min"},
                                     Unit{1'000, "s"}};
  for (const Unit& unit : kUnits)
    if (ms >= unit.ms && ms % unit.ms == 0) return fmt::format("{} {}", ms / unit.ms, unit.name);
  return fmt::format("{} ms", ms);
}
std::string bytes_text(std::int64_t bytes) {
  if (bytes < 1'024) return fmt::format("{} bytes", bytes);
  const auto kib = static_cast<double>(bytes) / 1'024;
  if (kib < 1'024) return fmt::format("{:.1f} KiB", kib);
  return kib < 1'024 * 1'024 ? fmt::format("{:.1f} MiB", kib / 1'024)
                             : fmt::format("{:.1f} GiB", kib / 1'024 / 1'024);
}

/// What a person wants to know of a topic's settings, in words; of Kafka's many the others are left to
/// --json.
std::string setting_line(const Object& setting) {
  const std::string name = text(setting, "name");
  const std::string value = text(setting, "value");
  const auto amount = base::parse_int<std::int64_t>(value);
  if (name == "retention.ms")
    return amount && *amount >= 0 ? "records are kept for " + span_text(*amount)
                                  : "the brokers remove no record for its age";
  if (name == "retention.bytes")
    return amount && *amount >= 0 ? "at most " + bytes_text(*amount) + " of a partition are kept" : "";
  if (name == "min.insync.replicas") return "a write is acknowledged by at least " + value + " replicas";
  if (name == "cleanup.policy")
    return value.find("compact") != std::string::npos ? "of each key only the last record is kept" : "";
  if (name == "max.message.bytes" || name == "record.bytes.max")
    return amount ? "a record has at most " + bytes_text(*amount) : "";
  if (name == "unclean.leader.election.enable")
    return value == "true" ? "a replica that lags may become leader: acknowledged records can be lost" : "";
  if (name == "fsync")
    return value == "true" ? "acknowledged means synced to the disk"
                           : "acknowledged means with the operating system: a power cut can lose records";
  return {};
}

std::string trend_text(const Object& group) {
  const auto* found = base::find_member(group, "trend");
  if (found == nullptr || !found->is_object()) return "-";
  const Object& trend = found->get_object();
  const std::string direction = text(trend, "direction");
  const auto* speed = base::find_member(trend, "perSecond");
  if (direction == "unknown") return "not known yet";
  if (direction == "steady" || speed == nullptr || !speed->is_number()) return direction;
  return fmt::format("{} {:+.1f}/s", direction, speed->to_number<double>());
}

std::string member_partitions(const Object& member) {
  std::string shown;
  std::string last;
  for (const Object* partition : objects(member, "partitions")) {
    const std::string topic = text(*partition, "topic");
    if (topic == last)
      shown += ",";
    else
      shown += (shown.empty() ? "" : " ") + topic + "/";
    shown += plain(number(*partition, "partition"));
    last = topic;
  }
  return shown.empty() ? "none (stands by)" : shown;
}

std::string one_group(const Object& group) {
  const auto members = objects(group, "members");
  std::string out = fmt::format("{}: {}, {}, lag {}", text(group, "group"), text(group, "state"),
                                counted(static_cast<std::int64_t>(members.size()), "member", "members"),
                                grouped(number(group, "lag")));
  if (const std::string trend = trend_text(group); trend != "-")
    out += fmt::format(" ({}{})", trend.starts_with("not") ? "trend " : "", trend);
  out += "\n";
  base::TextTable rows("lrrrrl");
  rows.add_row({"TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"});
  bool is_unknown = false;
  const auto partitions = objects(group, "partitions");
  for (const Object* partition : partitions) {
    const std::string member = text(*partition, "memberId");
    is_unknown = is_unknown || !number(*partition, "lag");
    rows.add_row({text(*partition, "topic"), plain(number(*partition, "partition")),
                  grouped(number(*partition, "committed")), grouped(number(*partition, "end")),
                  grouped(number(*partition, "lag")), member.empty() ? "-" : member});
  }
  if (!partitions.empty()) out += "\n" + rows.text();
  if (is_unknown) out += "(-: nothing committed yet, or no leader answers)\n";
  if (!members.empty()) {
    base::TextTable shown("llll");
    shown.add_row({"MEMBER", "CLIENT", "HOST", "PARTITIONS"});
    for (const Object* member : members)
      shown.add_row({text(*member, "id"), text(*member, "clientId"), text(*member, "host"),
                     member_partitions(*member)});
    out += "\n" + shown.text();
  }
  return out;
}

}  // namespace

base::Result<std::string> cluster_table(std::string_view json) {
  MILLRACE_TRY_ASSIGN(const Object cluster, parse(json));
  const auto brokers = objects(cluster, "brokers");
  std::int64_t up = 0;
  base::TextTable rows("rlll");
  rows.add_row({"BROKER", "ADDRESS", "RACK", "STATE"});
  for (const Object* broker : brokers) {
    const std::string host = text(*broker, "host");
    const auto port = number(*broker, "port");
    const std::string rack = text(*broker, "rack");
    if (flag(*broker, "up")) ++up;
    const std::string state = flag(*broker, "up") ? "up" : "AWAY";
    rows.add_row({plain(number(*broker, "id")),
                  host.empty() ? "-" : (port ? base::host_and_port(host, *port) : "in the process"),
                  rack.empty() ? "-" : rack, state});
  }
  return fmt::format("{} event log, cluster {}: {} of {} up\n\n{}", text(cluster, "eventLog"),
                     text(cluster, "clusterId"), up,
                     counted(static_cast<std::int64_t>(brokers.size()), "broker", "brokers"), rows.text());
}

base::Result<std::string> topics_table(std::string_view json, bool internal) {
  MILLRACE_TRY_ASSIGN(const Object document, parse(json));
  base::TextTable rows("lrrrl");
  rows.add_row({"TOPIC", "PARTITIONS", "REPLICAS", "MESSAGES", "STATE"});
  std::int64_t topics = 0;
  std::int64_t partitions = 0;
  std::int64_t messages = 0;
  std::int64_t hidden = 0;
  for (const Object* topic : objects(document, "topics")) {
    if (flag(*topic, "internal") && !internal) {
      ++hidden;
      continue;
    }
    ++topics;
    partitions += number(*topic, "partitionCount").value_or(0);
    messages += number(*topic, "messages").value_or(0);
    const auto leaderless = number(*topic, "leaderless").value_or(0);
    const auto behind = number(*topic, "underReplicated").value_or(0);
    std::string state = "all in sync";
    if (leaderless > 0)
      state = counted(leaderless, "partition WITHOUT LEADER", "partitions WITHOUT LEADER");
    else if (behind > 0)
      state = counted(behind, "partition lacks in-sync replicas", "partitions lack in-sync replicas");
    rows.add_row({text(*topic, "topic", 249), grouped(number(*topic, "partitionCount")),
                  grouped(number(*topic, "replicationFactor")), grouped(number(*topic, "messages")), state});
  }
  std::string out = topics > 0 ? rows.text() + "\n" : std::string();
  out +=
      fmt::format("{}, {}, {}", counted(topics, "topic", "topics"),
                  counted(partitions, "partition", "partitions"), counted(messages, "message", "messages"));
  if (hidden > 0)
    out += fmt::format(" (and {}: --internal)", counted(hidden, "internal topic", "internal topics"));
  return out + "\n";
}

base::Result<std::string> topic_table(std::string_view json) {
  MILLRACE_TRY_ASSIGN(const Object topic, parse(json));
  std::string out =
      fmt::format("{}: {}, {}, {}\ntopic id {}\n\n", text(topic, "topic", 249),
                  counted(number(topic, "partitionCount").value_or(0), "partition", "partitions"),
                  counted(number(topic, "replicationFactor").value_or(0), "replica", "replicas"),
                  number(topic, "messages") ? counted(*number(topic, "messages"), "message", "messages")
                                            : std::string("unknown number of messages"),
                  text(topic, "topicId"));
  base::TextTable rows("rrllrrr");
  rows.add_row({"PARTITION", "LEADER", "REPLICAS", "IN SYNC", "BEGIN", "END", "MESSAGES"});
  for (const Object* partition : objects(topic, "partitions"))
    rows.add_row({plain(number(*partition, "partition")),
                  number(*partition, "leader") ? plain(number(*partition, "leader")) : "NONE",
                  ids(*partition, "replicas"), ids(*partition, "inSync"),
                  grouped(number(*partition, "begin")), grouped(number(*partition, "end")),
                  grouped(number(*partition, "messages"))});
  out += rows.text();
  std::string lines;
  for (const Object* setting : objects(topic, "settings"))
    if (const std::string line = setting_line(*setting); !line.empty()) lines += line + "\n";
  return lines.empty() ? out : out + "\n" + lines;
}

base::Result<std::string> groups_table(std::string_view json) {
  MILLRACE_TRY_ASSIGN(const Object document, parse(json));
  base::TextTable rows("llrlrl");
  rows.add_row({"GROUP", "STATE", "MEMBERS", "TOPICS", "LAG", "TREND"});
  std::int64_t lag = 0;
  const auto groups = objects(document, "groups");
  for (const Object* group : groups) {
    std::vector<std::string> names;
    for (const Object* partition : objects(*group, "partitions"))
      if (const std::string name = text(*partition, "topic"); std::ranges::find(names, name) == names.end())
        names.push_back(name);
    std::string topics;
    for (const std::string& name : names) topics += (topics.empty() ? "" : ",") + name;
    lag += number(*group, "lag").value_or(0);
    rows.add_row({text(*group, "group", 249), text(*group, "state"),
                  grouped(static_cast<std::int64_t>(objects(*group, "members").size())),
                  topics.empty() ? "-" : topics, grouped(number(*group, "lag")), trend_text(*group)});
  }
  if (groups.empty()) return std::string("no consumer group has ever joined or committed\n");
  return rows.text() + fmt::format("\n{}, {} behind\n",
                                   counted(static_cast<std::int64_t>(groups.size()), "group", "groups"),
                                   counted(lag, "record", "records"));
}

base::Result<std::string> group_table(std::string_view json) {
  MILLRACE_TRY_ASSIGN(const Object document, parse(json));
  if (base::find_member(document, "groups") == nullptr) return one_group(document);
  std::string out;
  for (const Object* group : objects(document, "groups"))
    out += (out.empty() ? "" : "\n") + one_group(*group);
  return out.empty() ? "no consumer group has ever joined or committed\n" : out;
}

base::Result<std::string> messages_table(std::string_view json) {
  MILLRACE_TRY_ASSIGN(const Object document, parse(json));
  const auto messages = objects(document, "messages");
  std::string out;
  for (const Object* message : messages) {
    out += fmt::format("{}  partition {}  offset {}  key {}", text(*message, "time"),
                       plain(number(*message, "partition")), plain(number(*message, "offset")),
                       text(*message, "key", kValueShownMax));
    for (const Object* header : objects(*message, "headers"))
      out += fmt::format("  {}={}", text(*header, "name"), text(*header, "value", 200));
    const std::string value = text(*message, "value", kValueShownMax);
    const auto bytes = number(*message, "valueBytes").value_or(0);
    out += "\n  " + (bytes == 0 ? std::string("(no value)") : value);
    if (flag(*message, "truncated") || static_cast<std::size_t>(bytes) > kValueShownMax)
      out += fmt::format("… ({} in all)", bytes_text(bytes));
    out += "\n";
  }
  if (messages.empty()) out += fmt::format("{} holds no message\n", text(document, "topic", 249));
  return out;
}

}  // namespace millrace::app
