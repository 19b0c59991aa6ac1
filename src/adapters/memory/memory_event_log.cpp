#include "adapters/memory/memory_event_log.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/text.h"
#include "base/uuid.h"
#include "ports/one_process_inspector.h"

namespace millrace::adapters::memory {
namespace {

using base::Deadline;
using base::Result;
using ports::TopicPartition;

std::unexpected<base::Error> faulted(LogFault fault) {
  if (fault == LogFault::kConflict)
    return base::conflict("the assignment has passed to another member (fault dial)");
  return base::unavailable("the event log is unavailable (fault dial)");
}

}  // namespace

void LogFaultDial::set(LogOperation operation, std::uint64_t nth, LogFault fault, std::uint64_t times) {
  MILLRACE_ASSERT(nth > 0);
  const std::lock_guard lock(mutex_);
  const std::uint64_t first = calls_[static_cast<std::size_t>(operation)] + nth;
  const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - first;
  settings_.push_back({operation, first, first + std::min(times, room), fault});
}

void LogFaultDial::set_for_good(LogOperation operation, std::uint64_t nth, LogFault fault) {
  set(operation, nth, fault, std::numeric_limits<std::uint64_t>::max());
}

void LogFaultDial::clear() {
  const std::lock_guard lock(mutex_);
  settings_.clear();
}

std::uint64_t LogFaultDial::calls(LogOperation operation) const {
  const std::lock_guard lock(mutex_);
  return calls_[static_cast<std::size_t>(operation)];
}

std::optional<LogFault> LogFaultDial::next(LogOperation operation) {
  const std::lock_guard lock(mutex_);
  ++calls_[static_cast<std::size_t>(operation)];
  ++calls_[static_cast<std::size_t>(LogOperation::kAny)];
  for (const Setting& setting : settings_) {
    const std::uint64_t call = calls_[static_cast<std::size_t>(setting.operation)];
    const bool concerns = setting.operation == LogOperation::kAny || setting.operation == operation;
    if (concerns && call >= setting.first && call < setting.end) return setting.fault;
  }
  return std::nullopt;
}

struct MemoryEventLog::State {
  struct Partition {
    std::int64_t begin = 0;
    std::vector<ports::Record> records;  // records[i] has offset begin + i
    [[nodiscard]] std::int64_t end() const { return begin + static_cast<std::int64_t>(records.size()); }
  };
  struct Topic {
    ports::TopicInfo info;
    std::vector<Partition> partitions;
  };
  struct Group {
    std::vector<const Member*> members;  // the first owns all partitions, once it has taken over
    const Member* owner = nullptr;
    std::int64_t generation = 0;
  };
  using GroupKey = std::pair<std::string, std::string>;  // group, topic

  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::map<std::string, Topic> topics;
  std::map<GroupKey, Group> groups;
  std::map<std::pair<std::string, TopicPartition>, ports::CommittedOffset> committed;

  Result<Partition*> find(const TopicPartition& partition) {
    const auto topic = topics.find(partition.topic);
    if (topic == topics.end())
      return base::not_found(fmt::format("there is no topic '{}'", base::printable(partition.topic, 80)));
    if (partition.partition < 0 || partition.partition >= topic->second.info.partitions)
      return base::not_found(
          fmt::format("topic {} has no partition {}", partition.topic, partition.partition));
    return &topic->second.partitions[static_cast<std::size_t>(partition.partition)];
  }

  static Result<void> check_position(const TopicPartition& where, const Partition& partition,
                                     std::int64_t offset) {
    if (offset >= partition.begin && offset <= partition.end()) return {};
    return base::invalid(fmt::format("offset {} of {}/{} lies outside of the log, which holds [{}, {})",
                                     offset, where.topic, where.partition, partition.begin, partition.end()));
  }
};

class MemoryEventLog::Member final : public ports::GroupMember {
 public:
  Member(MemoryEventLog& log, State::GroupKey key) : log_(log), state_(log.state_), key_(std::move(key)) {
    const std::lock_guard lock(state_->mutex);
    state_->groups[key_].members.push_back(this);
  }
  ~Member() override {
    const std::lock_guard lock(state_->mutex);
    State::Group& group = state_->groups[key_];
    std::erase(group.members, this);
    if (group.owner == this) group.owner = nullptr;
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  Result<std::vector<ports::Assignment>> assignments(Deadline) override {
    const auto fault = log_.faults_.next(LogOperation::kAssignments);
    if (fault && *fault != LogFault::kLoseAnswer) return faulted(*fault);
    const std::lock_guard lock(state_->mutex);
    State::Group& group = state_->groups[key_];
    std::vector<ports::Assignment> mine;
    if (group.members.front() == this) {
      if (group.owner != this) {
        group.owner = this;
        ++group.generation;
      }
      const std::int32_t partitions = state_->topics.at(key_.second).info.partitions;
      for (std::int32_t i = 0; i < partitions; ++i) mine.push_back({{key_.second, i}, group.generation});
    }
    if (fault) return faulted(*fault);
    return mine;
  }

  Result<void> commit(const ports::Assignment& assignment, const ports::CommittedOffset& offset,
                      Deadline) override {
    const auto fault = log_.faults_.next(LogOperation::kCommit);
    if (fault && *fault != LogFault::kLoseAnswer) return faulted(*fault);
    if (offset.metadata.size() > ports::kCommitMetadataBytesMax)
      return base::invalid(fmt::format("commit metadata has {} bytes; at most {}", offset.metadata.size(),
                                       ports::kCommitMetadataBytesMax));
    if (offset.offset < 0) return base::invalid(fmt::format("offset {} cannot be committed", offset.offset));
    const std::lock_guard lock(state_->mutex);
    const State::Group& group = state_->groups[key_];
    const bool known =
        assignment.partition.topic == key_.second && state_->find(assignment.partition).has_value();
    if (!known || group.owner != this || assignment.generation != group.generation)
      return base::conflict(
          fmt::format("partition {}/{} is not this member's under generation {}; ask for assignments again",
                      assignment.partition.topic, assignment.partition.partition, assignment.generation));
    state_->committed[{key_.first, assignment.partition}] = offset;
    if (fault) return faulted(*fault);
    return {};
  }

 private:
  MemoryEventLog& log_;
  std::shared_ptr<State> state_;
  const State::GroupKey key_;
};

MemoryEventLog::MemoryEventLog(std::size_t record_bytes_max)
    : state_(std::make_shared<State>()), record_bytes_max_(record_bytes_max) {}
MemoryEventLog::~MemoryEventLog() = default;

void MemoryEventLog::expire_owner(const std::string& group_name, const std::string& topic) {
  const std::lock_guard lock(state_->mutex);
  State::Group& group = state_->groups[{group_name, topic}];
  if (group.owner == nullptr) return;
  group.owner = nullptr;
  std::ranges::rotate(group.members, group.members.begin() + 1);
}

void MemoryEventLog::recreate_topic(const std::string& name) {
  {
    const std::lock_guard lock(state_->mutex);
    State::Topic& topic = state_->topics.at(name);
    topic.info.topic_id = base::uuid_v7({});
    topic.partitions.assign(topic.partitions.size(), {});
    std::erase_if(state_->committed, [&](const auto& entry) { return entry.first.second.topic == name; });
  }
  state_->changed.notify_all();
}

Result<ports::TopicInfo> MemoryEventLog::ensure_topic(const std::string& name, std::int32_t partitions,
                                                      Deadline) {
  const auto fault = faults_.next(LogOperation::kEnsureTopic);
  if (fault && *fault != LogFault::kLoseAnswer) return faulted(*fault);
  MILLRACE_TRY(ports::check_topic(name, partitions));
  const std::lock_guard lock(state_->mutex);
  const auto [entry, is_new] = state_->topics.try_emplace(name);
  State::Topic& topic = entry->second;
  if (is_new) {
    // Random bits are all that a topic id needs; no clock is asked.
    topic.info = {name, partitions, base::uuid_v7({})};
    topic.partitions.resize(static_cast<std::size_t>(partitions));
  } else if (topic.info.partitions != partitions) {
    return base::conflict(
        fmt::format("topic {} has {} partitions, not {}", name, topic.info.partitions, partitions));
  }
  if (fault) return faulted(*fault);
  return topic.info;
}

Result<ports::TopicInfo> MemoryEventLog::grow_topic(const std::string& name, std::int32_t partitions,
                                                    Deadline) {
  if (const auto fault = faults_.next(LogOperation::kEnsureTopic)) return faulted(*fault);
  MILLRACE_TRY(ports::check_topic(name, partitions));
  const std::lock_guard lock(state_->mutex);
  const auto topic = state_->topics.find(name);
  if (topic == state_->topics.end())
    return base::not_found(fmt::format("there is no topic '{}'", base::printable(name, 80)));
  ports::TopicInfo& info = topic->second.info;
  info.partitions = std::max(info.partitions, partitions);
  topic->second.partitions.resize(static_cast<std::size_t>(info.partitions));
  return info;
}

Result<ports::TopicInfo> MemoryEventLog::describe_topic(const std::string& name, Deadline) {
  if (const auto fault = faults_.next(LogOperation::kDescribeTopic)) return faulted(*fault);
  const std::lock_guard lock(state_->mutex);
  const auto topic = state_->topics.find(name);
  if (topic == state_->topics.end())
    return base::not_found(fmt::format("there is no topic '{}'", base::printable(name, 80)));
  return topic->second.info;
}

Result<std::vector<ports::TopicInfo>> MemoryEventLog::list_topics(Deadline) {
  if (const auto fault = faults_.next(LogOperation::kListTopics)) return faulted(*fault);
  const std::lock_guard lock(state_->mutex);
  std::vector<ports::TopicInfo> topics;
  for (const auto& [name, topic] : state_->topics) topics.push_back(topic.info);
  return topics;
}

Result<std::int64_t> MemoryEventLog::append(const TopicPartition& partition,
                                            std::span<const ports::NewRecord> records, Deadline) {
  const auto fault = faults_.next(LogOperation::kAppend);
  if (fault && *fault != LogFault::kLoseAnswer && *fault != LogFault::kDoHalf) return faulted(*fault);
  for (const ports::NewRecord& record : records)
    if (const std::size_t bytes = ports::bytes_of(record); bytes > record_bytes_max_)
      return base::rejected(
          fmt::format("a record of {} bytes is larger than record_bytes_max = {}", bytes, record_bytes_max_));
  if (fault && *fault == LogFault::kDoHalf) records = records.first(records.size() / 2);
  std::int64_t first = 0;
  {
    const std::lock_guard lock(state_->mutex);
    MILLRACE_TRY_ASSIGN(State::Partition * log, state_->find(partition));
    first = log->end();
    for (const ports::NewRecord& record : records)
      log->records.push_back({log->end(), record.key, record.value, record.headers, record.time});
  }
  state_->changed.notify_all();
  if (fault) return faulted(*fault);
  return first;
}

Result<std::vector<ports::Record>> MemoryEventLog::read(const TopicPartition& partition, std::int64_t offset,
                                                        ports::ReadLimit limit, Deadline deadline) {
  if (const auto fault = faults_.next(LogOperation::kRead)) return faulted(*fault);
  std::unique_lock lock(state_->mutex);
  for (;;) {
    MILLRACE_TRY_ASSIGN(const State::Partition* log, state_->find(partition));
    MILLRACE_TRY(State::check_position(partition, *log, offset));
    if (offset < log->end()) {
      std::vector<ports::Record> records;
      std::size_t bytes = 0;
      for (auto i = static_cast<std::size_t>(offset - log->begin); i < log->records.size(); ++i) {
        bytes += ports::bytes_of(log->records[i]);
        if (!records.empty() && (records.size() >= limit.records_max || bytes > limit.bytes_max)) break;
        records.push_back(log->records[i]);
      }
      return records;
    }
    if (state_->changed.wait_until(lock, deadline.moment()) == std::cv_status::timeout) {
      MILLRACE_TRY_ASSIGN(const State::Partition* again, state_->find(partition));
      if (offset == again->end()) return std::vector<ports::Record>{};
    }
  }
}

Result<bool> MemoryEventLog::wait_any(std::span<const ports::LogPosition> positions, Deadline deadline) {
  if (const auto fault = faults_.next(LogOperation::kWaitAny)) return faulted(*fault);
  std::unique_lock lock(state_->mutex);
  for (;;) {
    const bool late = deadline.passed();
    for (const ports::LogPosition& position : positions) {
      MILLRACE_TRY_ASSIGN(const State::Partition* log, state_->find(position.partition));
      if (log->end() > position.offset) return true;
    }
    if (late) return false;
    state_->changed.wait_until(lock, deadline.moment());
  }
}

Result<std::vector<ports::Record>> MemoryEventLog::read_before(const TopicPartition& partition,
                                                               std::int64_t position, std::size_t count,
                                                               Deadline) {
  if (const auto fault = faults_.next(LogOperation::kReadBefore)) return faulted(*fault);
  const std::lock_guard lock(state_->mutex);
  MILLRACE_TRY_ASSIGN(const State::Partition* log, state_->find(partition));
  MILLRACE_TRY(State::check_position(partition, *log, position));
  const std::int64_t available = position - log->begin;
  const std::int64_t taken = std::min(available, static_cast<std::int64_t>(std::min<std::size_t>(
                                                     count, std::numeric_limits<std::int64_t>::max())));
  const auto end = log->records.begin() + available;
  return std::vector<ports::Record>(end - taken, end);
}

Result<ports::OffsetRange> MemoryEventLog::offsets(const TopicPartition& partition, Deadline) {
  if (const auto fault = faults_.next(LogOperation::kOffsets)) return faulted(*fault);
  const std::lock_guard lock(state_->mutex);
  MILLRACE_TRY_ASSIGN(const State::Partition* log, state_->find(partition));
  return ports::OffsetRange{log->begin, log->end()};
}

Result<void> MemoryEventLog::delete_records(const TopicPartition& partition, std::int64_t offset, Deadline) {
  const auto fault = faults_.next(LogOperation::kDeleteRecords);
  if (fault && *fault != LogFault::kLoseAnswer) return faulted(*fault);
  {
    const std::lock_guard lock(state_->mutex);
    MILLRACE_TRY_ASSIGN(State::Partition * log, state_->find(partition));
    const std::int64_t begin = std::clamp(offset, log->begin, log->end());
    log->records.erase(log->records.begin(), log->records.begin() + (begin - log->begin));
    log->begin = begin;
  }
  state_->changed.notify_all();
  if (fault) return faulted(*fault);
  return {};
}

Result<std::unique_ptr<ports::GroupMember>> MemoryEventLog::join(const std::string& group,
                                                                 const std::string& topic, Deadline) {
  if (const auto fault = faults_.next(LogOperation::kJoin)) return faulted(*fault);
  if (group.empty()) return base::invalid("a consumer group needs a name");
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->topics.contains(topic))
      return base::not_found(fmt::format("there is no topic '{}'", base::printable(topic, 80)));
  }
  return std::make_unique<Member>(*this, State::GroupKey(group, topic));
}

Result<std::optional<ports::CommittedOffset>> MemoryEventLog::committed(const std::string& group,
                                                                        const TopicPartition& partition,
                                                                        Deadline) {
  if (const auto fault = faults_.next(LogOperation::kCommitted)) return faulted(*fault);
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->committed.find({group, partition});
  if (found == state_->committed.end()) return std::optional<ports::CommittedOffset>();
  return std::optional(found->second);
}

Result<std::vector<ports::GroupOffset>> MemoryEventLog::list_group_offsets(Deadline) {
  if (const auto fault = faults_.next(LogOperation::kListGroupOffsets)) return faulted(*fault);
  const std::lock_guard lock(state_->mutex);
  std::vector<ports::GroupOffset> offsets;
  for (const auto& [where, committed] : state_->committed)
    offsets.push_back({where.first, where.second, committed});
  return offsets;
}

std::unique_ptr<ports::LogInspector> MemoryEventLog::inspector() {
  const auto joined = [state = state_] {
    std::vector<ports::JoinedMember> members;
    const std::lock_guard lock(state->mutex);
    for (const auto& [key, group] : state->groups)
      for (const Member* const member : group.members)
        members.push_back({key.first, key.second, member == group.owner});
    return members;
  };
  return std::make_unique<ports::OneProcessInspector>(*this, joined, std::vector<ports::TopicSetting>{});
}

}  // namespace millrace::adapters::memory
