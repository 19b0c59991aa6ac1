// The questions that looking at a cluster is made of; each goes to a client that joins no group.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "adapters/kafka/client.h"
#include "adapters/kafka/group_offsets.h"
#include "base/deadline.h"
#include "base/result.h"
#include "ports/log_inspector.h"

namespace millrace::adapters::kafka {

/// What one attempt at an answer may take.
struct Turn {
  base::Deadline deadline;
  bool is_last = false;  ///< A part of an answer is better than none.
};

/// Empty for nullptr.
[[nodiscard]] std::string text_of(const char* text);

/// Leaders and replicas, from what the client knows already.
[[nodiscard]] ports::TopicState state_of(const rd_kafka_metadata_topic_t& topic);

// Errors: kUnavailable, kNotFound.

/// Adds the topic ids and which topics are internal. A topic that went meanwhile stays without.
[[nodiscard]] base::Result<void> add_descriptions(const Client& client,
                                                  std::vector<ports::TopicState>& states,
                                                  base::Deadline deadline);
/// Adds begin and end of the partitions whose leaders answer.
[[nodiscard]] base::Result<void> add_offsets(const Client& client, std::vector<ports::TopicState>& states,
                                             Turn turn);
/// By name, without those that hold secrets.
[[nodiscard]] base::Result<std::vector<ports::TopicSetting>> ask_settings(const Client& client,
                                                                          const std::string& topic,
                                                                          base::Deadline deadline);
/// Names of all groups, each with the state that the list gives.
[[nodiscard]] base::Result<std::map<std::string, std::string>> ask_group_names(const Client& client,
                                                                               base::Deadline deadline);
/// Members, committed offsets and ends of those groups; `all` are the partitions that may have commits.
[[nodiscard]] base::Result<std::vector<ports::GroupState>> ask_groups(
    const Client& client, GroupOffsets& offsets, const std::vector<ports::TopicPartition>& all,
    const std::map<std::string, std::string>& names, Turn turn);

}  // namespace millrace::adapters::kafka
