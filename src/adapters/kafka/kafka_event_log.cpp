#include "adapters/kafka/kafka_event_log.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <thread>
#include <type_traits>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/kafka/client.h"
#include "adapters/kafka/errors.h"
#include "adapters/kafka/group_offsets.h"
#include "adapters/kafka/member.h"
#include "adapters/kafka/partition_consumers.h"
#include "adapters/kafka/producer.h"
#include "adapters/kafka/record_limit.h"
#include "adapters/kafka/settings.h"
#include "adapters/kafka/topic_admin.h"

namespace millrace::adapters::kafka {
namespace {

using base::Deadline;
using base::Result;
using ports::TopicPartition;

constexpr std::chrono::milliseconds kListPatience{2'000};  // of the first question
constexpr std::chrono::milliseconds kListPause{200};
constexpr std::chrono::milliseconds kFindPause{20};
constexpr std::size_t kOthersMax = 1'000;  // records of others that may stand behind an append of ours
constexpr const char* kMaxMessageBytes = "max.message.bytes";

std::string shown(const TopicPartition& partition) {
  return fmt::format("{}/{}", partition.topic, partition.partition);
}

}  // namespace

class KafkaEventLog::Impl {
 public:
  explicit Impl(const Options& options)
      : options_(options),
        limit_(options.record_bytes_max, options.record_bytes_max + kTopicSpareBytes),
        producer_(options_, limit_),
        topics_(options_, producer_),
        consumers_(consumer_settings(options_, "")),
        group_offsets_(consumer_settings(options_, "")) {}

  Result<void> open() {
    MILLRACE_TRY(check_brokers(options_.brokers));
    return producer_.open();
  }

  /// What can be said before anything is sent.
  Result<void> check_records(const TopicPartition& partition, std::span<const ports::NewRecord> records,
                             Deadline deadline) {
    const std::size_t bytes_max = limit_.record_bytes();
    for (const ports::NewRecord& record : records)
      if (ports::bytes_of(record) > bytes_max)
        return base::rejected(fmt::format("a record of {} bytes is larger than the {} that {} takes",
                                          ports::bytes_of(record), bytes_max, partition.topic));
    return topics_.check_partition(partition, deadline);
  }

  /// Now and then, while topics take less than we would like to send.
  void renew_limit(Deadline deadline) {
    const auto topics = limit_.topics_to_ask();
    if (topics.empty()) return;
    std::size_t bytes = std::numeric_limits<std::size_t>::max();
    for (const std::string& topic : topics) {
      const auto told = topics_.ask_setting(topic, kMaxMessageBytes, deadline);
      if (!told) return;
      bytes = std::min(bytes, *told);
    }
    if (limit_.renew(bytes))
      spdlog::info("kafka: topics take records of up to {} bytes again", options_.record_bytes_max);
  }

  std::unique_ptr<ProducerAppend> new_append(const TopicPartition& first, std::string doing) {
    return std::make_unique<ProducerAppend>(
        producer_.get(), first, std::move(doing),
        [this](const Client& client, const std::string& what, const Delivery::Failure& failure,
               std::size_t largest) { return explain(client, what, failure, largest); });
  }

  /// A partition that is gone is looked for anew at the next call.
  template <class T>
  Result<T> noted(const std::string& topic, Result<T> result) {
    if (!result && result.error().kind == base::ErrorKind::kNotFound) topics_.forget(topic);
    return result;
  }

  /// Puts a question to a client of no group, again through a new one while there is no answer.
  template <class Question>
  auto ask_brokers(Deadline deadline, Question question)
      -> std::invoke_result_t<Question, const Client&, Deadline> {
    for (auto patience = kListPatience;; patience *= 2) {
      MILLRACE_TRY_ASSIGN(const auto client,
                          Client::make(RD_KAFKA_CONSUMER, consumer_settings(options_, ""), {}));
      auto answer = question(*client, Deadline::in(std::min(patience, deadline.left())));
      if (answer || answer.error().kind != base::ErrorKind::kUnavailable || deadline.left() <= kListPause)
        return answer;
      std::this_thread::sleep_for(kListPause);
    }
  }

  const Options options_;
  RecordLimit limit_;
  CurrentProducer producer_;
  TopicAdmin topics_;
  PartitionConsumers consumers_;
  GroupOffsets group_offsets_;
  std::mutex append_mutex_;  // keeps the records of one append together

 private:
  base::Error explain(const Client& client, const std::string& doing, const Delivery::Failure& failure,
                      std::size_t largest) {
    const std::string& topic = failure.partition.topic;
    if (classify(failure.code).kind == base::ErrorKind::kRejected) return too_large(doing, topic, largest);
    base::Error error = is_timeout(failure.code)
                            ? topics_.not_acknowledged(client, doing, failure.partition, failure.code)
                            : client.failed(doing, failure.code).error();
    if (error.kind == base::ErrorKind::kNotFound) topics_.forget(topic);
    return error;
  }

  /// A batch was refused for its size: what the topic takes decides from now on how large batches and records
  /// may be, so that the stages put the one record aside and the rest gets through.
  base::Error too_large(const std::string& doing, const std::string& topic, std::size_t largest_record) {
    const auto told = topics_.ask_setting(topic, kMaxMessageBytes, Deadline::in(kTopicNewsTime));
    const std::size_t bytes =
        limit_.narrow(topic, told ? std::optional(*told) : std::optional<std::size_t>(), largest_record);
    return base::unavailable(
               fmt::format(
                   "{}: topic {} takes at most {} bytes at a time; larger records are put aside until "
                   "its max.message.bytes is raised to {} (kafka-configs --alter)",
                   doing, topic, bytes, options_.record_bytes_max + kTopicSpareBytes),
               RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        .error();
  }
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
  return impl_->topics_.ensure(topic, partitions, deadline);
}

Result<ports::TopicInfo> KafkaEventLog::grow_topic(const std::string& topic, std::int32_t partitions,
                                                   Deadline deadline) {
  return impl_->topics_.grow(topic, partitions, deadline);
}

Result<ports::TopicInfo> KafkaEventLog::describe_topic(const std::string& topic, Deadline deadline) {
  return impl_->topics_.describe(topic, deadline);
}

Result<std::vector<ports::TopicInfo>> KafkaEventLog::list_topics(Deadline deadline) {
  return impl_->topics_.list(deadline);
}

std::size_t KafkaEventLog::record_bytes_max() const {
  return impl_->limit_.record_bytes();
}

namespace {

/// Where records stand that were acknowledged without an offset: they are the last of their kind before the
/// end. Nothing if they are not to be seen (yet: the partition may just have another leader).
Result<std::optional<std::int64_t>> find_appended(KafkaEventLog& log, const TopicPartition& partition,
                                                  std::span<const ports::NewRecord> records,
                                                  Deadline deadline) {
  const auto is_of = [](const ports::Record& found, const ports::NewRecord& wanted) {
    return found.key == wanted.key && found.value == wanted.value && found.headers == wanted.headers;
  };
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, log.offsets(partition, deadline));
  MILLRACE_TRY_ASSIGN(const auto last,
                      log.read_before(partition, range.end, records.size() + kOthersMax, deadline));
  for (std::size_t begin = last.size(); begin-- > 0;) {
    std::size_t matched = 0;
    // Other producers' records may stand between them.
    for (std::size_t at = begin; at < last.size() && matched < records.size(); ++at)
      if (is_of(last[at], records[matched])) ++matched;
    if (matched == records.size() && is_of(last[begin], records.front())) return last[begin].offset;
  }
  return std::nullopt;
}

}  // namespace

Result<std::int64_t> KafkaEventLog::append(const TopicPartition& partition,
                                           std::span<const ports::NewRecord> records, Deadline deadline) {
  MILLRACE_TRY(impl_->check_records(partition, records, deadline));
  impl_->renew_limit(deadline);
  if (records.empty()) {
    MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, offsets(partition, deadline));
    return range.end;
  }
  const auto pending = impl_->new_append(partition, "append to " + shown(partition));
  Result<void> handed;
  {
    const std::lock_guard lock(impl_->append_mutex_);
    handed = pending->hand_over(partition, records, deadline);
  }
  pending->complete();
  // What was handed over is waited for, so that an error says all.
  auto first = pending->first_offset(deadline);
  if (!handed) return std::unexpected(std::move(handed).error());
  if (!first || *first >= 0) return first;
  for (;;) {
    MILLRACE_TRY_ASSIGN(const auto found, find_appended(*this, partition, records, deadline));
    if (found) return *found;
    if (deadline.passed())
      return base::unavailable(
          fmt::format("append to {}: acknowledged, but not found again", shown(partition)));
    std::this_thread::sleep_for(kFindPause);
  }
}

Result<std::unique_ptr<ports::PendingAppend>> KafkaEventLog::start_append(
    std::span<const ports::PartitionRecords> batches, Deadline deadline) {
  for (const auto& [partition, records] : batches)
    MILLRACE_TRY(impl_->check_records(partition, records, deadline));
  impl_->renew_limit(deadline);
  const bool one = batches.size() == 1;
  auto pending = impl_->new_append(batches.empty() ? TopicPartition{} : batches.front().partition,
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
  MILLRACE_TRY(impl_->topics_.check_partition(partition, deadline));
  if (offset < 0)
    return base::invalid(fmt::format("offset {} of {} lies outside of the log", offset, shown(partition)));
  return impl_->noted(partition.topic, impl_->consumers_.read(partition, offset, limit, deadline));
}

Result<bool> KafkaEventLog::wait_any(std::span<const ports::LogPosition> positions, Deadline deadline) {
  for (const ports::LogPosition& position : positions)
    MILLRACE_TRY(impl_->topics_.check_partition(position.partition, deadline));
  return impl_->consumers_.wait_any(positions, deadline);
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
  MILLRACE_TRY(impl_->topics_.check_partition(partition, deadline));
  MILLRACE_TRY_ASSIGN(const Client* const client, impl_->consumers_.client());
  ports::OffsetRange range;
  const auto ask = [&] {
    return rd_kafka_query_watermark_offsets(client->get(), partition.topic.c_str(), partition.partition,
                                            &range.begin, &range.end, std::max(timeout_ms(deadline), 1));
  };
  const auto is_not_known = [](rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  };
  auto code = ask();
  // This client or the broker that it asks may not have heard of a new topic yet.
  for (const Deadline patience = Deadline::in(kTopicNewsTime); is_not_known(code) && !patience.passed();) {
    std::this_thread::sleep_for(kTopicNewsPause);
    code = ask();
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return impl_->noted<ports::OffsetRange>(partition.topic,
                                            client->failed("offsets of " + shown(partition), code));
  return range;
}

Result<void> KafkaEventLog::delete_records(const TopicPartition& partition, std::int64_t offset,
                                           Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const ports::OffsetRange range, offsets(partition, deadline));
  const std::int64_t before = std::min(offset, range.end);
  if (before <= range.begin) return {};
  return impl_->topics_.delete_records(partition, before, deadline);
}

Result<std::unique_ptr<ports::GroupMember>> KafkaEventLog::join(const std::string& group,
                                                                const std::string& topic, Deadline deadline) {
  MILLRACE_TRY(impl_->topics_.describe(topic, deadline));
  MILLRACE_TRY_ASSIGN(auto member, Member::join(consumer_settings(impl_->options_, group), topic));
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

std::vector<ClientStatistics> KafkaEventLog::statistics() const {
  std::vector<ClientStatistics> all = impl_->consumers_.statistics();
  if (auto producer = impl_->producer_.statistics()) all.insert(all.begin(), std::move(*producer));
  return all;
}

}  // namespace millrace::adapters::kafka
