#include "adapters/kafka/kafka_log_inspector.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>

#include <fmt/format.h>

#include "adapters/kafka/client.h"
#include "adapters/kafka/group_offsets.h"
#include "adapters/kafka/inspector_questions.h"
#include "base/text.h"

namespace millrace::adapters::kafka {
namespace {

using base::Deadline;
using base::Result;

constexpr std::chrono::milliseconds kFirstPatience{1'500};
constexpr std::chrono::milliseconds kPause{200};  // before a question is put to another connection
constexpr std::chrono::milliseconds kNewsTime{400};
constexpr std::chrono::milliseconds kNewsPause{50};

std::string no_topic(const std::string& name) {
  return fmt::format("there is no topic '{}'", base::printable(name, 80));
}
std::string no_group(const std::string& name) {
  return fmt::format("there is no consumer group '{}'", base::printable(name, 80));
}

}  // namespace

class KafkaLogInspector::Impl {
 public:
  explicit Impl(const Options& options) : settings_(options.client_settings) {
    settings_["bootstrap.servers"] = options.brokers;
    settings_["client.id"] = options.client_id + "-inspector";
    // Of a consumer, which the library wants to have a name.
    settings_["group.id"] = options.client_id + "-inspector";
    settings_["allow.auto.create.topics"] = "false";
    settings_["enable.auto.commit"] = "false";
    settings_["reconnect.backoff.ms"] = "50";
    settings_["reconnect.backoff.max.ms"] = "1000";
    settings_["log.connection.close"] = "false";
    group_offsets_.emplace(settings_);
  }

  GroupOffsets& group_offsets() { return *group_offsets_; }

  Result<void> open() {
    MILLRACE_TRY(client());
    return {};
  }

  /// Puts the question again, while there is time, when the brokers were unavailable. The library keeps the
  /// coordinator of a group that it found once, also when that one is none any more or has died: so to a
  /// client that knows nothing yet, and the first ones do not get all of the time.
  template <class Question>
  auto ask(Deadline deadline, Question question) -> std::invoke_result_t<Question, const Client&, Turn> {
    for (auto patience = kFirstPatience;; patience *= 2) {
      MILLRACE_TRY_ASSIGN(const std::shared_ptr<Client> used, client());
      const std::chrono::milliseconds left = deadline.left();
      auto answer = question(*used, Turn{Deadline::in(std::min(patience, left)), patience >= left});
      if (answer || answer.error().kind != base::ErrorKind::kUnavailable) return answer;
      {
        const std::lock_guard lock(mutex_);
        if (client_ == used) client_.reset();
      }
      if (deadline.left() <= kPause) return answer;
      std::this_thread::sleep_for(kPause);
    }
  }

 private:
  Result<std::shared_ptr<Client>> client() {
    const std::lock_guard lock(mutex_);
    if (!client_) {
      MILLRACE_TRY_ASSIGN(client_, Client::make(RD_KAFKA_CONSUMER, settings_, {}));
    }
    return client_;
  }

  Client::Settings settings_;
  std::optional<GroupOffsets> group_offsets_;
  std::mutex mutex_;
  std::shared_ptr<Client> client_;  // guarded by mutex_
};

KafkaLogInspector::KafkaLogInspector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KafkaLogInspector::~KafkaLogInspector() = default;

Result<std::unique_ptr<KafkaLogInspector>> KafkaLogInspector::open(const Options& options) {
  auto impl = std::make_unique<Impl>(options);
  MILLRACE_TRY(impl->open());
  return std::unique_ptr<KafkaLogInspector>(new KafkaLogInspector(std::move(impl)));
}

Result<ports::ClusterState> KafkaLogInspector::cluster(Deadline deadline) {
  return impl_->ask(deadline, [&](const Client& client, Turn turn) -> Result<ports::ClusterState> {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    MILLRACE_TRY_ASSIGN(const Event event, client.ask("describe the cluster", RD_KAFKA_ADMIN_OP_ANY,
                                                      turn.deadline, [&](const auto* admin, auto* queue) {
                                                        rd_kafka_DescribeCluster(client.get(), admin, queue);
                                                      }));
    const auto* const described = rd_kafka_event_DescribeCluster_result(event.get());
    ports::ClusterState cluster;
    cluster.id = text_of(rd_kafka_DescribeCluster_result_cluster_id(described));
    std::size_t count = 0;
    const auto* const nodes = rd_kafka_DescribeCluster_result_nodes(described, &count);
    std::set<std::int32_t> up;
    for (std::size_t i = 0; i < count; ++i) {
      cluster.brokers.push_back({rd_kafka_Node_id(nodes[i]), text_of(rd_kafka_Node_host(nodes[i])),
                                 rd_kafka_Node_port(nodes[i]), text_of(rd_kafka_Node_rack(nodes[i])), true});
      up.insert(rd_kafka_Node_id(nodes[i]));
    }
    // The brokers tell only of those that are up; the others are known by the partitions that they keep.
    std::set<std::int32_t> away;
    for (int t = 0; t < metadata->topic_cnt; ++t)
      for (int p = 0; p < metadata->topics[t].partition_cnt; ++p) {
        const rd_kafka_metadata_partition_t& partition = metadata->topics[t].partitions[p];
        for (int r = 0; r < partition.replica_cnt; ++r)
          if (!up.contains(partition.replicas[r])) away.insert(partition.replicas[r]);
      }
    for (const std::int32_t id : away) cluster.brokers.push_back({id, {}, 0, {}, false});
    std::ranges::sort(cluster.brokers, {}, &ports::BrokerState::id);
    return cluster;
  });
}

Result<std::vector<ports::TopicState>> KafkaLogInspector::topics(Deadline deadline) {
  return impl_->ask(deadline, [&](const Client& client, Turn turn) -> Result<std::vector<ports::TopicState>> {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    std::vector<ports::TopicState> states;
    for (int i = 0; i < metadata->topic_cnt; ++i) states.push_back(state_of(metadata->topics[i]));
    std::ranges::sort(states, {}, [](const ports::TopicState& state) { return state.info.topic; });
    MILLRACE_TRY(add_descriptions(client, states, turn.deadline));
    MILLRACE_TRY(add_offsets(client, states, turn));
    return states;
  });
}

Result<ports::TopicState> KafkaLogInspector::topic(const std::string& name, Deadline deadline) {
  // The library would ask for a topic without a name for ever.
  if (!ports::check_topic(name, 1)) return base::not_found(no_topic(name));
  const auto look = [&](const Client& client, Turn turn) -> Result<ports::TopicState> {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    std::vector<ports::TopicState> states;
    for (int i = 0; i < metadata->topic_cnt; ++i)
      if (metadata->topics[i].topic == name) states.push_back(state_of(metadata->topics[i]));
    if (states.empty()) return base::not_found(no_topic(name));
    MILLRACE_TRY(add_descriptions(client, states, turn.deadline));
    MILLRACE_TRY_ASSIGN(states.front().settings, ask_settings(client, name, turn.deadline));
    // Last, because leaders that are silent take all of the time that there is.
    MILLRACE_TRY(add_offsets(client, states, turn));
    return std::move(states.front());
  };
  auto found = impl_->ask(deadline, look);
  // Brokers hear of a new topic one after the other, and any of them may have been asked.
  for (const Deadline patience = Deadline::in(kNewsTime); !found &&
                                                          found.error().kind == base::ErrorKind::kNotFound &&
                                                          !patience.passed() && !deadline.passed();) {
    std::this_thread::sleep_for(kNewsPause);
    found = impl_->ask(deadline, look);
  }
  return found;
}

Result<std::vector<ports::GroupState>> KafkaLogInspector::groups(Deadline deadline) {
  return impl_->ask(deadline, [&](const Client& client, Turn turn) -> Result<std::vector<ports::GroupState>> {
    // First, because it says best why nobody answers.
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    MILLRACE_TRY_ASSIGN(const auto names, ask_group_names(client, turn.deadline));
    return ask_groups(client, impl_->group_offsets(), partitions_of(*metadata), names, turn);
  });
}

Result<ports::GroupState> KafkaLogInspector::group(const std::string& name, Deadline deadline) {
  return impl_->ask(deadline, [&](const Client& client, Turn turn) -> Result<ports::GroupState> {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, turn.deadline));
    MILLRACE_TRY_ASSIGN(const auto names, ask_group_names(client, turn.deadline));
    const auto named = names.find(name);
    if (named == names.end()) return base::not_found(no_group(name));
    MILLRACE_TRY_ASSIGN(auto groups,
                        ask_groups(client, impl_->group_offsets(), partitions_of(*metadata), {*named}, turn));
    return std::move(groups.front());
  });
}

}  // namespace millrace::adapters::kafka
