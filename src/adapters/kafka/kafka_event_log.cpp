#include "adapters/kafka/kafka_event_log.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/kafka/client.h"
#include "adapters/kafka/errors.h"
#include "adapters/kafka/group_offsets.h"
#include "adapters/kafka/member.h"
#include "adapters/kafka/readers.h"
#include "base/text.h"

namespace millrace::adapters::kafka {
namespace {

using base::Deadline;
using base::Result;
using ports::TopicPartition;

constexpr std::chrono::milliseconds kLookPause{20};
constexpr std::chrono::milliseconds kNewsTime{1'000};      // until every broker knows of a topic
constexpr std::chrono::milliseconds kListPatience{2'000};  // of the first question
constexpr std::chrono::milliseconds kListPause{200};
constexpr std::chrono::milliseconds kFirstLook{5'000};  // at a topic that was never seen: a call that must
                                                        // not wait does wait for this
constexpr std::chrono::milliseconds kQueueFullPause{5};
constexpr std::size_t kOthersMax = 1'000;  // records of others that may stand behind an append of ours

// How often it is looked whether a topic takes larger records again.
constexpr std::chrono::seconds kLimitLook{30};
constexpr std::chrono::milliseconds kDiagnosisTime{1'000};
constexpr std::string_view kMaxMessageBytes = "max.message.bytes";
// What a batch of one record needs beside key, value and headers, with a few headers.
constexpr std::size_t kBatchOverheadBytes = 2'048;
// What we ask of a topic above the largest record.
constexpr std::size_t kTopicSpareBytes = 100'000;

using Description = std::pair<ports::TopicInfo, bool>;  // and whether it is internal

/// host, host:port or [v6]:port, separated by commas.
Result<void> check_brokers(std::string_view list) {
  const auto refuse = [&] {
    return base::invalid(
        fmt::format("kafka.brokers '{}' must be written host:port,host:port", base::printable(list, 200)));
  };
  for (std::string_view rest = list;;) {
    const std::size_t comma = rest.find(',');
    const std::string_view broker = base::trim(rest.substr(0, comma));
    const std::size_t colon = broker.rfind(':');
    const bool has_port = colon != std::string_view::npos && !broker.ends_with(']');
    const auto port = has_port ? base::parse_int<std::uint16_t>(broker.substr(colon + 1)) : std::uint16_t{1};
    if (broker.empty() || colon == 0 || broker.find_first_of("; \t=") != std::string_view::npos || !port ||
        *port == 0)
      return refuse();
    if (comma == std::string_view::npos) return {};
    rest.remove_prefix(comma + 1);
  }
}

std::string shown(const TopicPartition& partition) {
  return fmt::format("{}/{}", partition.topic, partition.partition);
}

/// What the client takes for one record; it copies key and value.
std::array<rd_kafka_vu_t, 8> fields_of(const TopicPartition& partition, const ports::NewRecord& record,
                                       rd_kafka_headers_t* headers, void* opaque) {
  std::array<rd_kafka_vu_t, 8> fields{};
  fields[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  fields[0].u.cstr = partition.topic.c_str();
  fields[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  fields[1].u.i32 = partition.partition;
  fields[2].vtype = RD_KAFKA_VTYPE_KEY;
  fields[2].u.mem = {const_cast<char*>(record.key.data()), record.key.size()};
  fields[3].vtype = RD_KAFKA_VTYPE_VALUE;
  fields[3].u.mem = {const_cast<char*>(record.value.data()), record.value.size()};
  fields[4].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  fields[4].u.i64 = base::to_ms(record.time);
  fields[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  fields[5].u.headers = headers;
  fields[6].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  fields[6].u.i = RD_KAFKA_MSG_F_COPY;
  fields[7].vtype = RD_KAFKA_VTYPE_OPAQUE;
  fields[7].u.ptr = opaque;
  return fields;
}

/// What an append waits for: the reports of all of its records. It lives until the last report, whoever
/// waits.
class Delivery : public std::enable_shared_from_this<Delivery> {
 public:
  /// Before the first record is handed over; then `expect` says how many there were.
  void start() { self_ = shared_from_this(); }
  void expect(std::size_t records) {
    const std::lock_guard lock(mutex_);
    expected_ = records;
    finish_if_complete();
  }

  void report(const rd_kafka_message_t& message) {
    std::shared_ptr<Delivery> kept;
    const std::lock_guard lock(mutex_);
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (error_ == RD_KAFKA_RESP_ERR_NO_ERROR) error_ = message.err;
    } else if (message.offset >= 0) {
      // Reports of one partition come in the order of its records.
      first_ = message.offset - static_cast<std::int64_t>(reported_);
    }
    ++reported_;
    kept = self_;
    finish_if_complete();
  }

  struct Outcome {
    bool complete = false;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::int64_t first = -1;  // of an append to one partition
  };
  Outcome wait(Deadline deadline) {
    std::unique_lock lock(mutex_);
    done_.wait_until(lock, deadline.moment(), [&] { return reported_ == expected_; });
    return {reported_ == expected_, error_, first_};
  }

 private:
  void finish_if_complete() {
    if (reported_ != expected_) return;
    done_.notify_all();
    self_.reset();
  }

  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t expected_ = SIZE_MAX;  // guarded by mutex_, as all below
  std::size_t reported_ = 0;
  std::int64_t first_ = -1;
  rd_kafka_resp_err_t error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::shared_ptr<Delivery> self_;  // as long as reports are to come
};

void on_delivery(rd_kafka_t* /*handle*/, const rd_kafka_message_t* message, void* /*opaque*/) {
  static_cast<Delivery*>(message->_private)->report(*message);
}

/// An idempotent producer and the thread that hears its reports.
class Producer {
 public:
  static Result<std::unique_ptr<Producer>> make(const Client::Settings& settings) {
    std::unique_ptr<Producer> producer(new Producer);
    MILLRACE_TRY_ASSIGN(producer->client_,
                        Client::make(RD_KAFKA_PRODUCER, settings, {.deliveries = &on_delivery}));
    producer->reports_ = std::jthread([handle = producer->client_->get()](const std::stop_token& stop) {
      while (!stop.stop_requested()) rd_kafka_poll(handle, 100);
    });
    return producer;
  }
  [[nodiscard]] const Client& client() const { return *client_; }
  /// Once the client has lost what makes it idempotent, it takes nothing any more.
  [[nodiscard]] bool is_broken() const {
    return rd_kafka_fatal_error(client_->get(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  ~Producer() {
    reports_.request_stop();
    if (reports_.joinable()) reports_.join();
  }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

 private:
  Producer() = default;
  std::unique_ptr<Client> client_;
  std::jthread reports_;
};

}  // namespace

class KafkaEventLog::Impl {
 public:
  explicit Impl(const Options& options)
      : options_(options), readers_(consumer_settings("")), group_offsets_(consumer_settings("")) {}

  Result<void> open() {
    MILLRACE_TRY(check_brokers(options_.brokers));
    MILLRACE_TRY_ASSIGN(producer_, Producer::make(producer_settings()));
    return {};
  }

  [[nodiscard]] Client::Settings common_settings() const {
    Client::Settings settings = options_.client_settings;
    settings["bootstrap.servers"] = options_.brokers;
    settings["client.id"] = options_.client_id;
    settings["socket.keepalive.enable"] = "true";
    settings["reconnect.backoff.ms"] = "50";
    settings["reconnect.backoff.max.ms"] = "1000";
    // Partitions that are added, and topics made anew, are seen after this.
    settings["topic.metadata.refresh.interval.ms"] = "5000";
    settings["allow.auto.create.topics"] = "false";
    settings["message.max.bytes"] = std::to_string(options_.record_bytes_max + kTopicSpareBytes);
    settings["log.connection.close"] = "false";
    return settings;
  }
  [[nodiscard]] Client::Settings producer_settings() const {
    Client::Settings settings = common_settings();
    settings.erase("allow.auto.create.topics");
    settings["enable.idempotence"] = "true";
    settings["acks"] = "all";
    // A batch that is refused for good takes what was sent after it along, instead of letting it overtake.
    settings["enable.gapless.guarantee"] = "true";
    settings["batch.size"] = std::to_string(std::min<std::size_t>(batch_bytes_max_, 1'000'000));
    settings["linger.ms"] = "0";
    settings["retry.backoff.ms"] = "50";
    settings["message.timeout.ms"] = std::to_string(options_.delivery_timeout.count());
    settings["queue.buffering.max.kbytes"] = "65536";
    settings["queue.buffering.max.messages"] = "200000";
    return settings;
  }
  /// Without a group the library asks for a name all the same.
  [[nodiscard]] Client::Settings consumer_settings(const std::string& group) const {
    Client::Settings settings = common_settings();
    settings["group.id"] = group.empty() ? options_.client_id + "-readers" : group;
    settings["enable.auto.commit"] = "false";
    settings["enable.auto.offset.store"] = "false";
    settings["auto.offset.reset"] = "error";
    settings["fetch.wait.max.ms"] = "100";
    settings["fetch.error.backoff.ms"] = "50";
    settings["fetch.queue.backoff.ms"] = "5";
    settings["queued.max.messages.kbytes"] = "8192";
    settings["check.crcs"] = "true";
    if (!group.empty()) {
      settings["partition.assignment.strategy"] = "cooperative-sticky";
      settings["session.timeout.ms"] = std::to_string(options_.session_timeout.count());
      settings["heartbeat.interval.ms"] =
          std::to_string(std::max<std::int64_t>(options_.session_timeout.count() / 10, 100));
    }
    return settings;
  }

  std::shared_ptr<Producer> producer() {
    const std::lock_guard lock(producer_mutex_);
    if (producer_->is_broken() || producer_outdated_) {
      if (auto fresh = Producer::make(producer_settings())) {
        if (!producer_outdated_)
          spdlog::info("kafka: the producer is made anew after a break in its sequence");
        producer_ = std::move(*fresh);
        producer_outdated_ = false;
      }
    }
    return producer_;
  }

  /// A setting of the topic that is a number. Errors: kUnavailable, kNotFound.
  Result<std::size_t> ask_setting(const std::string& topic, std::string_view name, Deadline deadline) {
    const std::unique_ptr<rd_kafka_ConfigResource_t, Destroy<rd_kafka_ConfigResource_destroy>> resource(
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
    rd_kafka_ConfigResource_t* asked_for[] = {resource.get()};
    const auto asked = producer();
    const Client& client = asked->client();
    const std::string doing = "settings of topic " + topic;
    MILLRACE_TRY_ASSIGN(
        const Event event,
        client.ask(doing, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, deadline, [&](const auto* admin, auto* queue) {
          rd_kafka_DescribeConfigs(client.get(), asked_for, 1, admin, queue);
        }));
    std::size_t count = 0;
    const auto* const* const found =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
    if (count != 1) return base::unavailable(doing + ": no answer");
    if (const auto code = rd_kafka_ConfigResource_error(found[0]); code != RD_KAFKA_RESP_ERR_NO_ERROR)
      return client.failed(doing, code, rd_kafka_ConfigResource_error_string(found[0]));
    const auto* const* const entries = rd_kafka_ConfigResource_configs(found[0], &count);
    for (std::size_t i = 0; i < count; ++i)
      if (rd_kafka_ConfigEntry_name(entries[i]) == name)
        if (const auto bytes = base::parse_int<std::size_t>(rd_kafka_ConfigEntry_value(entries[i])))
          return *bytes;
    return base::unavailable(fmt::format("{}: {} is not among them", doing, name));
  }

  /// After a batch was refused for its size: what the topic takes decides from now on how large batches and
  /// records may be, so that the stages put the one record aside and the rest gets through.
  std::unexpected<base::Error> learn_limit(const std::string& doing, const std::string& topic,
                                           std::size_t largest_record) {
    const auto told = ask_setting(topic, kMaxMessageBytes, Deadline::in(kNewsTime));
    const std::lock_guard lock(producer_mutex_);
    // Where we may not ask: below what was refused.
    const std::size_t limit = told ? *told : std::min(batch_bytes_max_ / 2, largest_record);
    narrow_topics_.insert(topic);
    set_limit(std::min(batch_bytes_max_, limit));
    return base::unavailable(
        fmt::format("{}: the topic takes at most {} bytes at a time; larger records are put aside until its "
                    "max.message.bytes is raised to {} (kafka-configs --alter)",
                    doing, limit, options_.record_bytes_max + kTopicSpareBytes),
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  }
  /// With producer_mutex_ held.
  void set_limit(std::size_t batch_bytes) {
    producer_outdated_ |= batch_bytes != batch_bytes_max_;
    batch_bytes_max_ = batch_bytes;
    record_bytes_max_ =
        std::min(options_.record_bytes_max,
                 batch_bytes > 2 * kBatchOverheadBytes ? batch_bytes - kBatchOverheadBytes : batch_bytes / 2);
    limit_look_ = Deadline::in(kLimitLook);
  }
  /// Now and then, while topics take less than we would like to send.
  void look_at_limits(Deadline deadline) {
    std::set<std::string> topics;
    {
      const std::lock_guard lock(producer_mutex_);
      if (narrow_topics_.empty() || !limit_look_.passed()) return;
      limit_look_ = Deadline::in(kLimitLook);
      topics = narrow_topics_;
    }
    std::size_t limit = batch_bytes_wanted();
    for (const std::string& topic : topics) {
      const auto told = ask_setting(topic, kMaxMessageBytes, deadline);
      if (!told) return;
      limit = std::min(limit, *told);
    }
    const std::lock_guard lock(producer_mutex_);
    if (limit == batch_bytes_wanted()) {
      narrow_topics_.clear();
      spdlog::info("kafka: topics take records of up to {} bytes again", options_.record_bytes_max);
    }
    set_limit(limit);
  }
  [[nodiscard]] std::size_t batch_bytes_wanted() const {
    return options_.record_bytes_max + kTopicSpareBytes;
  }

  /// Why a record was not acknowledged in time. The client asks again by itself while replicas are missing,
  /// and does not say so.
  std::unexpected<base::Error> not_acknowledged(const Client& client, const std::string& doing,
                                                const TopicPartition& partition, rd_kafka_resp_err_t code) {
    const Topic topic(rd_kafka_topic_new(client.get(), partition.topic.c_str(), nullptr));
    const rd_kafka_metadata_t* answer = nullptr;
    if (!topic || rd_kafka_metadata(client.get(), 0, topic.get(), &answer,
                                    static_cast<int>(kDiagnosisTime.count())) != RD_KAFKA_RESP_ERR_NO_ERROR)
      return client.failed(doing, code);
    const std::unique_ptr<const rd_kafka_metadata_t, Destroy<rd_kafka_metadata_destroy>> metadata(answer);
    if (metadata->topic_cnt != 1) return client.failed(doing, code);
    const rd_kafka_metadata_topic& found = metadata->topics[0];
    if (sort_of(found.err).kind == base::ErrorKind::kNotFound) return client.failed(doing, found.err);
    for (int i = 0; i < found.partition_cnt; ++i) {
      const rd_kafka_metadata_partition& state = found.partitions[i];
      if (state.id != partition.partition) continue;
      if (state.leader < 0)
        return client.failed(doing, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, "the partition has no leader");
      const auto in_sync = static_cast<std::size_t>(state.isr_cnt);
      // Brokers never ask for more than there are replicas.
      const auto replicas = static_cast<std::size_t>(state.replica_cnt);
      const auto asked_for =
          ask_setting(partition.topic, "min.insync.replicas", Deadline::in(kDiagnosisTime));
      const std::size_t needed = std::min(asked_for.value_or(replicas), replicas);
      if (in_sync < needed)
        return client.failed(
            doing, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            fmt::format("{} of {} replicas are in sync, and the topic's min.insync.replicas asks "
                        "for {}",
                        in_sync, replicas, needed)
                .c_str());
    }
    return client.failed(doing, code);
  }

  Result<std::vector<Description>> describe(const std::vector<std::string>& names, Deadline deadline) {
    std::vector<const char*> texts;
    for (const std::string& name : names) texts.push_back(name.c_str());
    const std::unique_ptr<rd_kafka_TopicCollection_t, Destroy<rd_kafka_TopicCollection_destroy>> topics(
        rd_kafka_TopicCollection_of_topic_names(texts.data(), texts.size()));
    const auto asked = producer();
    const Client& client = asked->client();
    const std::string doing = names.size() == 1 ? "describe topic " + names.front() : "describe topics";
    MILLRACE_TRY_ASSIGN(
        const Event event,
        client.ask(doing, RD_KAFKA_ADMIN_OP_ANY, deadline, [&](const auto* options, auto* queue) {
          rd_kafka_DescribeTopics(client.get(), topics.get(), options, queue);
        }));
    std::size_t count = 0;
    const auto* const found =
        rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event.get()), &count);
    std::vector<Description> described;
    for (std::size_t i = 0; i < count; ++i) {
      const rd_kafka_error_t* const error = rd_kafka_TopicDescription_error(found[i]);
      if (error != nullptr && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (names.size() > 1) continue;  // it went while we asked
        if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
          return base::not_found(fmt::format("there is no topic '{}'", base::printable(names.front(), 80)));
        return client.failed(doing, rd_kafka_error_code(error), rd_kafka_error_string(error));
      }
      std::size_t partitions = 0;
      rd_kafka_TopicDescription_partitions(found[i], &partitions);
      described.push_back({{rd_kafka_TopicDescription_name(found[i]), static_cast<std::int32_t>(partitions),
                            topic_id(found[i])},
                           rd_kafka_TopicDescription_is_internal(found[i]) != 0});
    }
    const std::lock_guard lock(known_mutex_);
    for (const auto& [info, internal] : described) known_[info.topic] = info.partitions;
    return described;
  }

  Result<ports::TopicInfo> describe_one(const std::string& topic, Deadline deadline) {
    if (!ports::check_topic(topic, 1))
      return base::not_found(fmt::format("there is no topic '{}'", base::printable(topic, 80)));
    auto described = describe({topic}, deadline);
    // Brokers hear of a new topic one after the other: one that we have seen is not gone at the first no.
    for (const Deadline patience = Deadline::in(is_known(topic) ? kNewsTime : std::chrono::milliseconds(0));
         !described && described.error().kind == base::ErrorKind::kNotFound && !patience.passed();) {
      std::this_thread::sleep_for(kLookPause);
      described = describe({topic}, deadline);
    }
    if (!described) {
      forget(topic);
      return std::unexpected(std::move(described).error());
    }
    if (described->empty()) return base::not_found(fmt::format("there is no topic '{}'", topic));
    return std::move(described->front().first);
  }

  bool is_known(const std::string& topic) {
    const std::lock_guard lock(known_mutex_);
    return known_.contains(topic);
  }
  /// Whether every topic that we have seen is among them.
  bool has_all_known(const std::vector<std::string>& names) {
    const std::lock_guard lock(known_mutex_);
    return std::ranges::all_of(known_, [&](const auto& seen) {
      return seen.first.starts_with("__") || std::ranges::find(names, seen.first) != names.end();
    });
  }
  void forget(const std::string& topic) {
    const std::lock_guard lock(known_mutex_);
    known_.erase(topic);
  }

  /// Asks the brokers only about topics that were never seen, or are smaller than they should be.
  Result<void> check_partition(const TopicPartition& partition, Deadline deadline) {
    for (int look = 0; look < 2; ++look) {
      {
        const std::lock_guard lock(known_mutex_);
        const auto known = known_.find(partition.topic);
        if (known != known_.end() && partition.partition >= 0 && partition.partition < known->second)
          return {};
      }
      if (look == 0) {
        const Deadline patient = deadline.left() > kFirstLook ? deadline : Deadline::in(kFirstLook);
        MILLRACE_TRY(describe_one(partition.topic, patient));
      }
    }
    return base::not_found(fmt::format("topic {} has no partition {}", partition.topic, partition.partition));
  }

  /// What can be said before anything is sent.
  Result<void> check_records(const TopicPartition& partition, std::span<const ports::NewRecord> records,
                             Deadline deadline);

  /// A partition that is gone is looked for anew at the next call.
  template <class T>
  Result<T> noted(const std::string& topic, Result<T> result) {
    if (!result && result.error().kind == base::ErrorKind::kNotFound) forget(topic);
    return result;
  }

  /// Puts a question to a client of no group, again through a new one while there is no answer.
  template <class Question>
  auto ask_brokers(Deadline deadline, Question question)
      -> std::invoke_result_t<Question, const Client&, Deadline> {
    for (auto patience = kListPatience;; patience *= 2) {
      MILLRACE_TRY_ASSIGN(const auto client, Client::make(RD_KAFKA_CONSUMER, consumer_settings(""), {}));
      auto answer = question(*client, Deadline::in(std::min(patience, deadline.left())));
      if (answer || answer.error().kind != base::ErrorKind::kUnavailable || deadline.left() <= kListPause)
        return answer;
      std::this_thread::sleep_for(kListPause);
    }
  }

  const Options options_;
  Readers readers_;
  GroupOffsets group_offsets_;
  std::mutex append_mutex_;  // keeps the records of one append together
  std::mutex producer_mutex_;
  std::shared_ptr<Producer> producer_;  // guarded by producer_mutex_, as all down to limit_look_
  bool producer_outdated_ = false;
  std::size_t batch_bytes_max_ = batch_bytes_wanted();
  std::set<std::string> narrow_topics_;  // they take less than that
  Deadline limit_look_ = Deadline::in(kLimitLook);
  std::atomic<std::size_t> record_bytes_max_ = options_.record_bytes_max;
  std::mutex known_mutex_;
  std::map<std::string, std::int32_t> known_;  // guarded by known_mutex_; topic → partitions
};

KafkaEventLog::KafkaEventLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KafkaEventLog::~KafkaEventLog() = default;

Result<std::unique_ptr<KafkaEventLog>> KafkaEventLog::open(const Options& options) {
  auto impl = std::make_unique<Impl>(options);
  MILLRACE_TRY(impl->open());
  return std::unique_ptr<KafkaEventLog>(new KafkaEventLog(std::move(impl)));
}

Result<ports::TopicInfo> KafkaEventLog::ensure_topic(const std::string& topic, std::int32_t partitions,
                                                     Deadline deadline) {
  MILLRACE_TRY(ports::check_topic(topic, partitions));
  auto described = impl_->describe_one(topic, deadline);
  if (!described && described.error().kind == base::ErrorKind::kNotFound) {
    const Options& options = impl_->options_;
    std::array<char, 256> trouble{};
    const std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>> wanted(
        rd_kafka_NewTopic_new(topic.c_str(), partitions, options.replication_factor, trouble.data(),
                              trouble.size()));
    if (!wanted) return base::invalid(fmt::format("topic {}: {}", topic, trouble.data()));
    // What nobody has read yet must not vanish by age: we trim what all have passed. Times are the events',
    // which may be far from the brokers' clock.
    const std::pair<const char*, std::string> settings[] = {
        {"cleanup.policy", "delete"},
        {"retention.ms", "-1"},
        {"retention.bytes", "-1"},
        {"min.insync.replicas", std::to_string(options.min_in_sync)},
        {"unclean.leader.election.enable", "false"},
        {"max.message.bytes", std::to_string(options.record_bytes_max + kTopicSpareBytes)},
        {"message.timestamp.type", "CreateTime"},
        {"message.timestamp.before.max.ms", "9223372036854775807"},
        {"message.timestamp.after.max.ms", "9223372036854775807"},
    };
    for (const auto& [name, value] : settings)
      rd_kafka_NewTopic_set_config(wanted.get(), name, value.c_str());
    rd_kafka_NewTopic_t* list[] = {wanted.get()};
    const auto producer = impl_->producer();
    const Client& client = producer->client();
    const std::string doing = "create topic " + topic;
    MILLRACE_TRY_ASSIGN(
        const Event event,
        client.ask(doing, RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline, [&](const auto* admin, auto* queue) {
          rd_kafka_CreateTopics(client.get(), list, 1, admin, queue);
        }));
    std::size_t count = 0;
    const auto* const results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
    if (count == 1) {
      const auto code = rd_kafka_topic_result_error(results[0]);
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return client.failed(doing, code, rd_kafka_topic_result_error_string(results[0]));
    }
    // The brokers hear of it one after the other.
    do {
      described = impl_->describe_one(topic, deadline);
      if (described && described->partitions > 0) break;
      std::this_thread::sleep_for(kLookPause);
    } while (!deadline.passed());
  }
  if (!described) return described;
  if (described->partitions != partitions)
    return base::conflict(
        fmt::format("topic {} has {} partitions, not {}: partitions cannot be taken away, and adding "
                    "some moves orders between them; use a topic of another name, or the number it has",
                    topic, described->partitions, partitions));
  return described;
}

Result<ports::TopicInfo> KafkaEventLog::grow_topic(const std::string& topic, std::int32_t partitions,
                                                   Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto info, impl_->describe_one(topic, deadline));
  if (info.partitions >= partitions) return info;
  MILLRACE_TRY(ports::check_topic(topic, partitions));
  std::array<char, 256> trouble{};
  const std::unique_ptr<rd_kafka_NewPartitions_t, Destroy<rd_kafka_NewPartitions_destroy>> wanted(
      rd_kafka_NewPartitions_new(topic.c_str(), static_cast<std::size_t>(partitions), trouble.data(),
                                 trouble.size()));
  if (!wanted) return base::invalid(fmt::format("topic {}: {}", topic, trouble.data()));
  rd_kafka_NewPartitions_t* list[] = {wanted.get()};
  const auto producer = impl_->producer();
  const Client& client = producer->client();
  const std::string doing = fmt::format("give topic {} {} partitions", topic, partitions);
  MILLRACE_TRY_ASSIGN(
      const Event event,
      client.ask(doing, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, deadline, [&](const auto* admin, auto* queue) {
        rd_kafka_CreatePartitions(client.get(), list, 1, admin, queue);
      }));
  std::size_t count = 0;
  const auto* const results =
      rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event.get()), &count);
  const auto code = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_NO_ERROR;
  // Another one may have been quicker; then there are enough.
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_INVALID_PARTITIONS)
    return client.failed(doing, code, rd_kafka_topic_result_error_string(results[0]));
  do {
    MILLRACE_TRY_ASSIGN(info, impl_->describe_one(topic, deadline));
    if (info.partitions >= partitions) {
      spdlog::info("kafka: topic {} has {} partitions now", topic, info.partitions);
      return info;
    }
    std::this_thread::sleep_for(kLookPause);
  } while (!deadline.passed());
  return base::unavailable(doing + ": the brokers do not know of them yet");
}

Result<ports::TopicInfo> KafkaEventLog::describe_topic(const std::string& topic, Deadline deadline) {
  return impl_->describe_one(topic, deadline);
}

Result<std::vector<ports::TopicInfo>> KafkaEventLog::list_topics(Deadline deadline) {
  const auto producer = impl_->producer();
  std::vector<std::string> names;
  // Brokers hear of a new topic one after the other, and any of them may have been asked.
  for (const Deadline patience = Deadline::in(kNewsTime);; std::this_thread::sleep_for(kLookPause)) {
    MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(producer->client(), deadline));
    names.clear();
    for (int i = 0; i < metadata->topic_cnt; ++i) names.emplace_back(metadata->topics[i].topic);
    std::erase_if(names, [](const std::string& name) { return name.starts_with("__"); });
    if (impl_->has_all_known(names) || patience.passed() || deadline.passed()) break;
  }
  if (names.empty()) return std::vector<ports::TopicInfo>{};
  MILLRACE_TRY_ASSIGN(auto described, impl_->describe(names, deadline));
  std::vector<ports::TopicInfo> topics;
  for (auto& [info, internal] : described)
    if (!internal) topics.push_back(std::move(info));
  std::ranges::sort(topics, {}, &ports::TopicInfo::topic);
  return topics;
}

std::size_t KafkaEventLog::record_bytes_max() const {
  return impl_->record_bytes_max_;
}

/// Hands records to the client and waits for its reports.
class KafkaEventLog::Pending final : public ports::PendingAppend {
 public:
  /// `first` is the partition that is looked at when nothing is acknowledged.
  Pending(Impl& impl, TopicPartition first, std::string doing)
      : impl_(impl), first_(std::move(first)), doing_(std::move(doing)), producer_(impl.producer()) {
    delivery_->start();
  }
  ~Pending() override {
    if (!is_whole_) delivery_->expect(sent_);
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  /// The caller holds the lock that keeps the records of one append together.
  Result<void> hand_over(const TopicPartition& partition, std::span<const ports::NewRecord> records,
                         Deadline deadline) {
    rd_kafka_t* const handle = producer_->client().get();
    for (const ports::NewRecord& record : records) {
      rd_kafka_headers_t* const headers = rd_kafka_headers_new(record.headers.size());
      for (const ports::Header& header : record.headers)
        rd_kafka_header_add(headers, header.name.data(), static_cast<ssize_t>(header.name.size()),
                            header.value.data(), static_cast<ssize_t>(header.value.size()));
      const auto fields = fields_of(partition, record, headers, delivery_.get());
      rd_kafka_resp_err_t refused = RD_KAFKA_RESP_ERR_NO_ERROR;
      for (;;) {
        const VendorError error(rd_kafka_produceva(handle, fields.data(), fields.size()));
        refused = error ? rd_kafka_error_code(error.get()) : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (refused != RD_KAFKA_RESP_ERR__QUEUE_FULL || deadline.passed()) break;
        std::this_thread::sleep_for(kQueueFullPause);
      }
      if (refused != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
        return failed<void>(refused);
      }
      ++sent_;
      largest_ = std::max(largest_, ports::bytes_of(record));
    }
    return {};
  }
  /// No record is handed over any more.
  void complete() {
    delivery_->expect(sent_);
    is_whole_ = true;
  }

  Result<bool> wait(Deadline deadline) override {
    MILLRACE_TRY_ASSIGN(const Delivery::Outcome outcome, outcome_by(deadline));
    return outcome.complete;
  }
  /// Negative if the brokers did not say: they had the records already when the client asked again.
  Result<std::int64_t> first_offset(Deadline deadline) {
    MILLRACE_TRY_ASSIGN(const Delivery::Outcome outcome, outcome_by(deadline));
    if (!outcome.complete) return failed<std::int64_t>(RD_KAFKA_RESP_ERR__TIMED_OUT);
    return outcome.first;
  }

 private:
  Result<Delivery::Outcome> outcome_by(Deadline deadline) {
    const Delivery::Outcome outcome = delivery_->wait(deadline);
    if (outcome.complete && outcome.error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return failed<Delivery::Outcome>(outcome.error);
    return outcome;
  }
  template <class T>
  Result<T> failed(rd_kafka_resp_err_t code) {
    if (sort_of(code).kind == base::ErrorKind::kRejected)
      return impl_.learn_limit(doing_, first_.topic, largest_);
    if (is_silence(code))
      return impl_.noted<T>(first_.topic, impl_.not_acknowledged(producer_->client(), doing_, first_, code));
    return impl_.noted<T>(first_.topic, producer_->client().failed(doing_, code));
  }

  Impl& impl_;
  const TopicPartition first_;
  const std::string doing_;
  const std::shared_ptr<Producer> producer_;
  const std::shared_ptr<Delivery> delivery_ = std::make_shared<Delivery>();
  std::size_t sent_ = 0;
  std::size_t largest_ = 0;
  bool is_whole_ = false;
};

Result<void> KafkaEventLog::Impl::check_records(const TopicPartition& partition,
                                                std::span<const ports::NewRecord> records,
                                                Deadline deadline) {
  for (const ports::NewRecord& record : records)
    if (ports::bytes_of(record) > record_bytes_max_)
      return base::rejected(fmt::format("a record of {} bytes is larger than the {} that {} takes",
                                        ports::bytes_of(record), record_bytes_max_.load(), partition.topic));
  return check_partition(partition, deadline);
}

Result<std::int64_t> KafkaEventLog::append(const TopicPartition& partition,
                                           std::span<const ports::NewRecord> records, Deadline deadline) {
  MILLRACE_TRY(impl_->check_records(partition, records, deadline));
  impl_->look_at_limits(deadline);
  if (records.empty()) {
    MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, offsets(partition, deadline));
    return range.end;
  }
  Pending pending(*impl_, partition, "append to " + shown(partition));
  Result<void> handed;
  {
    const std::lock_guard lock(impl_->append_mutex_);
    handed = pending.hand_over(partition, records, deadline);
  }
  pending.complete();
  // What was handed over is waited for, so that an error says all.
  auto first = pending.first_offset(deadline);
  if (!handed) return std::unexpected(std::move(handed).error());
  if (first && *first < 0) return find_appended(partition, records, deadline);
  return first;
}

/// Where records stand that were acknowledged: they are the last of their kind before the end.
Result<std::int64_t> KafkaEventLog::find_appended(const TopicPartition& partition,
                                                  std::span<const ports::NewRecord> records,
                                                  Deadline deadline) {
  const auto is_of = [](const ports::Record& found, const ports::NewRecord& wanted) {
    return found.key == wanted.key && found.value == wanted.value && found.headers == wanted.headers;
  };
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, offsets(partition, deadline));
  MILLRACE_TRY_ASSIGN(const auto last,
                      read_before(partition, range.end, records.size() + kOthersMax, deadline));
  for (std::size_t begin = last.size(); begin-- > 0;) {
    std::size_t matched = 0;
    // Other producers' records may stand between them.
    for (std::size_t at = begin; at < last.size() && matched < records.size(); ++at)
      if (is_of(last[at], records[matched])) ++matched;
    if (matched == records.size() && is_of(last[begin], records.front())) return last[begin].offset;
  }
  return base::unavailable(fmt::format("append to {}: acknowledged, but not found again", shown(partition)));
}

Result<std::unique_ptr<ports::PendingAppend>> KafkaEventLog::start_append(
    std::span<const ports::PartitionRecords> batches, Deadline deadline) {
  for (const auto& [partition, records] : batches)
    MILLRACE_TRY(impl_->check_records(partition, records, deadline));
  impl_->look_at_limits(deadline);
  const bool one = batches.size() == 1;
  auto pending =
      std::make_unique<Pending>(*impl_, batches.empty() ? TopicPartition{} : batches.front().partition,
                                one ? "append to " + shown(batches.front().partition)
                                    : fmt::format("append to {} partitions", batches.size()));
  {
    const std::lock_guard lock(impl_->append_mutex_);
    for (const auto& [partition, records] : batches)
      MILLRACE_TRY(pending->hand_over(partition, records, deadline));
  }
  pending->complete();
  return pending;
}

Result<std::vector<ports::Record>> KafkaEventLog::read(const TopicPartition& partition, std::int64_t offset,
                                                       ports::ReadLimit limit, Deadline deadline) {
  MILLRACE_TRY(impl_->check_partition(partition, deadline));
  if (offset < 0)
    return base::invalid(fmt::format("offset {} of {} lies outside of the log", offset, shown(partition)));
  return impl_->noted(partition.topic, impl_->readers_.read(partition, offset, limit, deadline));
}

Result<bool> KafkaEventLog::wait_any(std::span<const ports::LogPosition> positions, Deadline deadline) {
  for (const ports::LogPosition& position : positions)
    MILLRACE_TRY(impl_->check_partition(position.partition, deadline));
  return impl_->readers_.wait_any(positions, deadline);
}

Result<std::vector<ports::Record>> KafkaEventLog::read_before(const TopicPartition& partition,
                                                              std::int64_t position, std::size_t count,
                                                              Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, offsets(partition, deadline));
  if (position < range.begin || position > range.end)
    return base::invalid(fmt::format("offset {} of {} lies outside of the log, which holds [{}, {})",
                                     position, shown(partition), range.begin, range.end));
  std::vector<ports::Record> records;
  // Offsets may have gaps, so the first guess may bring too few.
  for (std::size_t reach = count; count > 0 && position > range.begin;) {
    const auto room = static_cast<std::uint64_t>(position - range.begin);
    const std::int64_t from = reach >= room ? range.begin : position - static_cast<std::int64_t>(reach);
    records.clear();
    std::int64_t next = from;
    while (next < position) {
      MILLRACE_TRY_ASSIGN(auto some, read(partition, next, {10'000, std::size_t{8} << 20u}, deadline));
      if (some.empty())
        return base::unavailable(fmt::format("read {} back: nothing came in time", shown(partition)));
      next = some.back().offset + 1;
      for (ports::Record& record : some)
        if (record.offset < position) records.push_back(std::move(record));
    }
    if (records.size() >= count || from == range.begin) break;
    reach = reach > room / 2 ? static_cast<std::size_t>(room) : reach * 2;
  }
  if (records.size() > count)
    records.erase(records.begin(), records.end() - static_cast<std::ptrdiff_t>(count));
  return records;
}

Result<ports::OffsetRange> KafkaEventLog::offsets(const TopicPartition& partition, Deadline deadline) {
  MILLRACE_TRY(impl_->check_partition(partition, deadline));
  MILLRACE_TRY_ASSIGN(const Client* const client, impl_->readers_.client());
  ports::OffsetRange range;
  const auto ask = [&] {
    return rd_kafka_query_watermark_offsets(client->get(), partition.topic.c_str(), partition.partition,
                                            &range.begin, &range.end, std::max(timeout_ms(deadline), 1));
  };
  auto code = ask();
  // This client, too, may not have heard of a new topic.
  for (const Deadline patience = Deadline::in(kNewsTime);
       code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION && !patience.passed();) {
    std::this_thread::sleep_for(kLookPause);
    code = ask();
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return impl_->noted<ports::OffsetRange>(partition.topic,
                                            client->failed("offsets of " + shown(partition), code));
  return range;
}

Result<void> KafkaEventLog::trim(const TopicPartition& partition, std::int64_t offset, Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, offsets(partition, deadline));
  const std::int64_t before = std::min(offset, range.end);
  if (before <= range.begin) return {};
  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition)->offset =
      before;
  const std::unique_ptr<rd_kafka_DeleteRecords_t, Destroy<rd_kafka_DeleteRecords_destroy>> wanted(
      rd_kafka_DeleteRecords_new(list.get()));
  const auto producer = impl_->producer();
  const Client& client = producer->client();
  const std::string doing = "trim " + shown(partition);
  rd_kafka_DeleteRecords_t* deletions[] = {wanted.get()};
  MILLRACE_TRY_ASSIGN(
      const Event event,
      client.ask(doing, RD_KAFKA_ADMIN_OP_DELETERECORDS, deadline, [&](const auto* admin, auto* queue) {
        rd_kafka_DeleteRecords(client.get(), deletions, 1, admin, queue);
      }));
  const auto* const trimmed =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event.get()));
  if (trimmed->cnt == 1 && trimmed->elems[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return client.failed(doing, trimmed->elems[0].err);
  return {};
}

Result<std::unique_ptr<ports::GroupMember>> KafkaEventLog::join(const std::string& group,
                                                                const std::string& topic, Deadline deadline) {
  MILLRACE_TRY(impl_->describe_one(topic, deadline));
  MILLRACE_TRY_ASSIGN(auto member, Member::join(impl_->consumer_settings(group), topic));
  return std::unique_ptr<ports::GroupMember>(std::move(member));
}

namespace {

struct GroupsAndPartitions {
  std::vector<std::string> groups;
  std::vector<TopicPartition> partitions;
};

Result<std::vector<std::string>> ask_groups(const Client& client, Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const Event event, client.ask("list groups", RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
                                                    deadline, [&](const auto* admin, auto* queue) {
                                                      rd_kafka_ListConsumerGroups(client.get(), admin, queue);
                                                    }));
  std::size_t count = 0;
  const auto* const groups =
      rd_kafka_ListConsumerGroups_result_valid(rd_kafka_event_ListConsumerGroups_result(event.get()), &count);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i)
    names.emplace_back(rd_kafka_ConsumerGroupListing_group_id(groups[i]));
  return names;
}

}  // namespace

Result<std::optional<ports::CommittedOffset>> KafkaEventLog::committed(const std::string& group,
                                                                       const TopicPartition& partition,
                                                                       Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto found, impl_->group_offsets_.committed(group, {&partition, 1}, deadline));
  if (found.empty()) return std::nullopt;
  return found.begin()->second;
}

Result<std::vector<ports::GroupOffset>> KafkaEventLog::list_group_offsets(Deadline deadline) {
  MILLRACE_TRY_ASSIGN(
      const auto known,
      impl_->ask_brokers(deadline,
                         [&](const Client& client, Deadline patience) -> Result<GroupsAndPartitions> {
                           MILLRACE_TRY_ASSIGN(auto groups, ask_groups(client, patience));
                           MILLRACE_TRY_ASSIGN(const Metadata metadata, ask_metadata(client, patience));
                           return GroupsAndPartitions{std::move(groups), partitions_of(*metadata)};
                         }));
  std::vector<ports::GroupOffset> all;
  for (const std::string& group : known.groups) {
    MILLRACE_TRY_ASSIGN(auto some, impl_->group_offsets_.committed(group, known.partitions, deadline));
    for (auto& [partition, offset] : some) all.push_back({group, partition, std::move(offset)});
  }
  std::ranges::sort(all, {},
                    [](const ports::GroupOffset& entry) { return std::tie(entry.group, entry.partition); });
  return all;
}

}  // namespace millrace::adapters::kafka
