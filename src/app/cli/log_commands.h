// `millrace topics`, `groups` and `cluster`: the event log from the command line. A Kafka log is asked at its
// brokers; the embedded one through the API of the running `millrace up`, or in its directory when none runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/config/settings.h"
#include "base/result.h"

namespace millrace::app {

// Errors of all: kUnavailable (nothing answers, with the address), kNotFound (no such topic or group),
// kConflict (the directory of the embedded log is in use, and no API answers).

[[nodiscard]] base::Result<void> run_cluster(const Settings& settings, bool json);

/// `internal`: also those that are the log's own.
[[nodiscard]] base::Result<void> run_topics_list(const Settings& settings, bool internal, bool json);
[[nodiscard]] base::Result<void> run_topics_show(const Settings& settings, const std::string& topic,
                                                 bool json);
/// There already with as many partitions: nothing to do. Errors: kInvalid, kConflict (with another number).
[[nodiscard]] base::Result<void> run_topics_create(const Settings& settings, const std::string& topic,
                                                   std::int32_t partitions);

struct TailCommand {
  std::string topic;
  std::uint32_t last = 10;
  std::optional<std::int32_t> partition;
  bool json = false;
};
[[nodiscard]] base::Result<void> run_topics_tail(const Settings& settings, const TailCommand& command);

[[nodiscard]] base::Result<void> run_groups_list(const Settings& settings, bool json);
/// `group` empty: all, one after the other.
[[nodiscard]] base::Result<void> run_groups_show(const Settings& settings, const std::string& group,
                                                 bool json);

}  // namespace millrace::app
