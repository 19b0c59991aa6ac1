// The answers about the event log as tables for a person. They are read from the JSON that the API gives
// (docs/specs/event-log-view.md), which is the same wherever the answer comes from.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::app {

// Errors of all: kFatal (not such a JSON).

[[nodiscard]] base::Result<std::string> cluster_table(std::string_view json);
[[nodiscard]] base::Result<std::string> topics_table(std::string_view json, bool internal);
[[nodiscard]] base::Result<std::string> topic_table(std::string_view json);
[[nodiscard]] base::Result<std::string> groups_table(std::string_view json);
/// Of one group, or of {"groups": […]}: all of them.
[[nodiscard]] base::Result<std::string> group_table(std::string_view json);
/// Of messages whose values are text.
[[nodiscard]] base::Result<std::string> messages_table(std::string_view json);

}  // namespace millrace::app
