#include "api/log_shapes.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "api/json_fields.h"
#include "base/json.h"
#include "base/text.h"

namespace millrace::api {
namespace {

using base::JsonWriter;

template <class Number>
void number_or_null(JsonWriter& json, std::string_view key, std::optional<Number> value) {
  json.key(key);
  if (value)
    json.number(static_cast<std::int64_t>(*value));
  else
    json.null();
}

void ids(JsonWriter& json, std::string_view key, std::span<const std::int32_t> numbers) {
  json.key(key).begin_array();
  for (const std::int32_t number : numbers) json.number(std::int64_t{number});
  json.end_array();
}

void write_topic(JsonWriter& json, const ports::TopicState& topic, bool with_settings) {
  std::optional<std::int64_t> messages = 0;
  std::size_t replicas = 0;
  int leaderless = 0;
  int under_replicated = 0;
  for (const ports::PartitionState& partition : topic.partitions) {
    replicas = std::max(replicas, partition.replicas.size());
    if (!partition.leader) ++leaderless;
    if (partition.in_sync.size() < partition.replicas.size()) ++under_replicated;
    if (messages && partition.offsets)
      *messages += partition.offsets->end - partition.offsets->begin;
    else
      messages.reset();
  }
  json.begin_object();
  json.key("topic").string(topic.info.topic);
  json.key("topicId").string(topic.info.topic_id);
  json.key("internal").boolean(topic.is_internal);
  json.key("partitionCount").number(std::int64_t{topic.info.partitions});
  json.key("replicationFactor").number(static_cast<std::int64_t>(replicas));
  number_or_null(json, "messages", messages);
  json.key("underReplicated").number(under_replicated);
  json.key("leaderless").number(leaderless);
  json.key("partitions").begin_array();
  for (const ports::PartitionState& partition : topic.partitions) {
    json.begin_object();
    json.key("partition").number(std::int64_t{partition.partition});
    number_or_null(json, "leader", partition.leader);
    ids(json, "replicas", partition.replicas);
    ids(json, "inSync", partition.in_sync);
    std::optional<std::int64_t> begin;
    std::optional<std::int64_t> end;
    std::optional<std::int64_t> count;
    if (partition.offsets) {
      begin = partition.offsets->begin;
      end = partition.offsets->end;
      count = *end - *begin;
    }
    number_or_null(json, "begin", begin);
    number_or_null(json, "end", end);
    number_or_null(json, "messages", count);
    json.end_object();
  }
  json.end_array();
  if (with_settings) {
    json.key("settings").begin_array();
    for (const ports::TopicSetting& setting : topic.settings) {
      json.begin_object();
      json.key("name").string(setting.name);
      json.key("value").string(setting.value);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
}

void write_trend(JsonWriter& json, const inspect::Trend* trend, bool with_samples) {
  json.key("trend");
  if (trend == nullptr) {
    json.null();
    return;
  }
  json.begin_object();
  json.key("direction").string(inspect::to_string(trend->direction));
  json.key("perSecond");
  if (trend->direction == inspect::Direction::kUnknown)
    json.null();
  else
    json.raw(fmt::format("{:.1f}", trend->records_per_second));
  if (with_samples) {
    json.key("samples").begin_array();
    for (const inspect::LagSample& sample : trend->samples) {
      json.begin_object();
      json.key("at").string(base::to_iso8601(sample.at));
      json.key("lag").number(sample.lag);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
}

void write_group(JsonWriter& json, const ports::GroupState& group, const inspect::Trend* trend,
                 bool with_samples) {
  json.begin_object();
  json.key("group").string(base::printable(group.group, group.group.size()));
  json.key("state").string(group.state);
  json.key("lag").number(group.lag());
  write_trend(json, trend, with_samples);
  json.key("members").begin_array();
  for (const ports::MemberState& member : group.members) {
    json.begin_object();
    json.key("id").string(base::printable(member.id, member.id.size()));
    json.key("clientId").string(base::printable(member.client_id, member.client_id.size()));
    json.key("host").string(base::printable(member.host, member.host.size()));
    json.key("partitions").begin_array();
    for (const ports::TopicPartition& partition : member.partitions) {
      json.begin_object();
      json.key("topic").string(partition.topic);
      json.key("partition").number(std::int64_t{partition.partition});
      json.end_object();
    }
    json.end_array();
    json.end_object();
  }
  json.end_array();
  json.key("partitions").begin_array();
  for (const ports::GroupPartition& entry : group.partitions) {
    json.begin_object();
    json.key("topic").string(entry.partition.topic);
    json.key("partition").number(std::int64_t{entry.partition.partition});
    number_or_null(json, "committed", entry.committed);
    number_or_null(json, "end", entry.end);
    number_or_null(json, "lag", entry.lag());
    const auto owner = std::ranges::find_if(group.members, [&](const ports::MemberState& member) {
      return std::ranges::find(member.partitions, entry.partition) != member.partitions.end();
    });
    text_or_null(json, "memberId",
                 owner == group.members.end() ? std::string() : base::printable(owner->id, owner->id.size()));
    json.end_object();
  }
  json.end_array();
  json.end_object();
}

/// Cut to what is shown, whole characters.
std::string shown(std::string_view bytes) {
  return base::printable(bytes, kValueShownMax);
}

void write_message(JsonWriter& json, const inspect::Message& message, bool as_text) {
  const ports::Record& record = message.record;
  json.begin_object();
  json.key("partition").number(std::int64_t{message.partition});
  json.key("offset").number(record.offset);
  json.key("time").string(base::to_iso8601(record.time));
  json.key("key").string(shown(record.key));
  json.key("headers").begin_array();
  for (const ports::Header& header : record.headers) {
    json.begin_object();
    json.key("name").string(shown(header.name));
    json.key("value").string(shown(header.value));
    json.end_object();
  }
  json.end_array();
  json.key("valueBytes").number(static_cast<std::uint64_t>(record.value.size()));
  const bool is_cut = record.value.size() > kValueShownMax;
  json.key("truncated").boolean(is_cut);
  if (!is_cut && base::parse_json(record.value)) {
    json.key("format").string("json");
    json.key("value");
    // As it stands: numbers keep all their digits.
    if (as_text)
      json.string(record.value);
    else
      json.raw(record.value);
  } else {
    json.key("format").string(base::is_utf8(record.value) ? "text" : "binary");
    json.key("value").string(shown(record.value));
  }
  json.end_object();
}

}  // namespace

std::string cluster_json(const ports::ClusterState& cluster, std::string_view kind) {
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.key("eventLog").string(kind);
  json.key("clusterId").string(cluster.id);
  json.key("brokers").begin_array();
  for (const ports::BrokerState& broker : cluster.brokers) {
    json.begin_object();
    json.key("id").number(std::int64_t{broker.id});
    text_or_null(json, "host", broker.host);
    number_or_null(json, "port", broker.port == 0 ? std::nullopt : std::optional(broker.port));
    text_or_null(json, "rack", broker.rack);
    json.key("up").boolean(broker.is_up);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return body;
}

std::string topics_json(std::span<const ports::TopicState> topics) {
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.key("topics").begin_array();
  for (const ports::TopicState& topic : topics) write_topic(json, topic, false);
  json.end_array();
  json.end_object();
  return body;
}

std::string topic_json(const ports::TopicState& topic) {
  std::string body;
  JsonWriter json(body);
  write_topic(json, topic, true);
  return body;
}

std::string groups_json(std::span<const ports::GroupState> groups,
                        const std::function<inspect::Trend(const std::string&)>& trend_of) {
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.key("groups").begin_array();
  for (const ports::GroupState& group : groups) {
    std::optional<inspect::Trend> trend;
    if (trend_of) trend = trend_of(group.group);
    write_group(json, group, trend ? &*trend : nullptr, false);
  }
  json.end_array();
  json.end_object();
  return body;
}

std::string group_json(const ports::GroupState& group, const inspect::Trend* trend) {
  std::string body;
  JsonWriter json(body);
  write_group(json, group, trend, true);
  return body;
}

std::string messages_json(std::string_view topic, std::span<const inspect::Message> messages, bool as_text) {
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.key("topic").string(topic);
  json.key("messages").begin_array();
  for (const inspect::Message& message : messages) write_message(json, message, as_text);
  json.end_array();
  json.end_object();
  return body;
}

}  // namespace millrace::api
