#include "relay/topic_layout.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace millrace::relay {

void TopicLayout::start_lease() {
  topics_.clear();
  grown_.clear();
  sent_since_empty_.clear();
  was_empty_ = false;
}

std::optional<std::int32_t> TopicLayout::partitions_of(const std::string& topic) const {
  const auto known = topics_.find(topic);
  return known == topics_.end() ? std::nullopt : std::optional(known->second);
}

std::vector<std::string> TopicLayout::topics() const {
  std::vector<std::string> names;
  for (const auto& [name, partitions] : topics_) names.push_back(name);
  return names;
}

void TopicLayout::on_empty() {
  was_empty_ = true;
  sent_since_empty_.clear();
}

base::Result<TopicLayout::Decision> TopicLayout::reconcile(
    const ports::TopicInfo& info, const std::optional<ports::RelayedTopic>& recorded) {
  const ports::RelayedTopic now{info.partitions, info.topic_id};
  const auto use = [&](std::int32_t partitions, bool record) {
    topics_[info.topic] = partitions;
    return Decision{partitions, record};
  };
  grown_.erase(info.topic);
  if (recorded && *recorded == now) return use(now.partitions, false);
  const bool divides = now.partitions % options_.shards == 0;
  const bool is_same_topic = recorded && recorded->topic_id == now.topic_id;
  const bool none_in_flight = !recorded || (was_empty_ && !sent_since_empty_.contains(info.topic)) ||
                              options_.accepts_new_topics || now.topic_id == options_.accepted_topic_id;
  if (is_same_topic && (!none_in_flight || !divides)) {
    if (divides)
      spdlog::info("relay: {} has {} partitions now: using {} of them until the outbox is empty once",
                   info.topic, now.partitions, recorded->partitions);
    else
      spdlog::warn("relay: {} has {} partitions now, which {} shards do not divide: using {} of them",
                   info.topic, now.partitions, options_.shards, recorded->partitions);
    grown_.insert(info.topic);
    return use(recorded->partitions, false);
  }
  if (!divides)
    return base::fatal(
        fmt::format("relay.shards ({}) does not divide the {} partitions of {}: set it to 1, or to another "
                    "divisor",
                    options_.shards, now.partitions, info.topic));
  if (!none_in_flight)
    return base::fatal(fmt::format(
        "topic {} was deleted and recreated (its id is {} now), and up to {} events may have been on their "
        "way "
        "to the former topic: whether they are loaded cannot be known. Send them again and reload the "
        "warehouse (millrace up --rebuild; for a relay alone relay.accept_topic = {}, and millrace rebuild)",
        info.topic, now.topic_id, options_.rows_in_flight_max, now.topic_id));
  return use(now.partitions, true);
}

}  // namespace millrace::relay
