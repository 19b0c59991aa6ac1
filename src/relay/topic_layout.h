// Over how many partitions a shard spreads the orders of each topic.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "ports/event_log.h"
#include "ports/outbox.h"

namespace millrace::relay {

struct TopicLayoutOptions {
  std::int32_t shards = 1;
  std::size_t rows_in_flight_max = 0;  ///< For the message to the operator.
  /// The id of a topic that may be sent to although events that were on their way to the topic of this name
  /// that stood there before may have been loaded already; empty: none.
  std::string accepted_topic_id = {};
  bool accepts_new_topics = false;  ///< All of them: what is in the warehouse is about to be replaced.
};

/// What is known of the topics under one lease. A row may stand unmarked in the outbox although a former
/// owner has sent it; its repeat is recognized only in the partition of the first copy. So the partitions
/// that were recorded stay in use until no such row can be there: until the outbox was empty once under this
/// lease and nothing was sent to the topic since. Not thread-safe; no calls.
class TopicLayout {
 public:
  /// What to do about a topic: send to `partitions` of it, and, if `record`, write that down first.
  struct Decision {
    std::int32_t partitions = 0;
    bool record = false;
  };

  explicit TopicLayout(TopicLayoutOptions options) : options_(std::move(options)) {}

  /// Under a new lease nothing is known.
  void start_lease();

  /// The partitions in use; nothing before `reconcile`.
  [[nodiscard]] std::optional<std::int32_t> partitions_of(const std::string& topic) const;
  [[nodiscard]] std::vector<std::string> topics() const;

  /// Compares the topic with what the shard has recorded about it, and remembers the outcome. Errors: kFatal
  /// (shards and partitions do not fit; or the topic was recreated while events may have been on their way
  /// to the former one).
  [[nodiscard]] base::Result<Decision> reconcile(const ports::TopicInfo& info,
                                                 const std::optional<ports::RelayedTopic>& recorded);

  void on_sent(const std::string& topic) { sent_since_empty_.insert(topic); }
  /// Nothing waits in the outbox and nothing is in flight.
  void on_empty();
  [[nodiscard]] bool was_empty() const { return was_empty_; }
  /// A topic has more partitions than are in use.
  [[nodiscard]] bool has_grown() const { return !grown_.empty(); }
  /// The topic is asked for again before it is sent to.
  void forget(const std::string& topic) { topics_.erase(topic); }
  void forget_all() { topics_.clear(); }

 private:
  const TopicLayoutOptions options_;
  std::map<std::string, std::int32_t> topics_;
  std::set<std::string> grown_;
  std::set<std::string> sent_since_empty_;
  bool was_empty_ = false;
};

}  // namespace millrace::relay
