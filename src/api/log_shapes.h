// JSON of the event log's topics, groups and messages. Shapes: docs/specs/event-log-view.md.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "inspect/lag_history.h"
#include "inspect/messages.h"
#include "ports/log_inspector.h"

namespace millrace::api {

/// Longer values and keys are cut: {"truncated": true, "valueBytes": 70000 …}.
inline constexpr std::size_t kValueShownMax = std::size_t{16} << 10u;

/// `kind`: "kafka" or "embedded".
[[nodiscard]] std::string cluster_json(const ports::ClusterState& cluster, std::string_view kind);
/// {"topics": […]}
[[nodiscard]] std::string topics_json(std::span<const ports::TopicState> topics);
/// As in the list, with settings.
[[nodiscard]] std::string topic_json(const ports::TopicState& topic);
/// {"groups": […]}; `trend_of` may be empty: then no trend is known.
[[nodiscard]] std::string groups_json(std::span<const ports::GroupState> groups,
                                      const std::function<inspect::Trend(const std::string&)>& trend_of);
/// As in the list, with the samples of the trend; null: none is known.
[[nodiscard]] std::string group_json(const ports::GroupState& group, const inspect::Trend* trend);
/// {"topic": …, "messages": […]}; `as_text`: also values that are JSON come as strings.
[[nodiscard]] std::string messages_json(std::string_view topic, std::span<const inspect::Message> messages,
                                        bool as_text);

}  // namespace millrace::api
