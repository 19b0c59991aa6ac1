#include "adapters/rocksdb/groups.h"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

namespace millrace::adapters::rocksdb {
namespace {

using base::Deadline;
using base::Result;

constexpr std::size_t kGroupLengthMax = 249;

}  // namespace

/// Only the owner writes of its group, from its one thread, and it stays the owner until it is destroyed: so
/// what was checked under the mutex is still so when the write has ended without it.
class Groups::Member final : public ports::GroupMember {
 public:
  Member(Database& database, std::shared_ptr<State> state, std::int32_t partitions, GroupKey key)
      : database_(database), state_(std::move(state)), partitions_(partitions), key_(std::move(key)) {
    const std::lock_guard lock(state_->mutex);
    state_->groups[key_].members.push_back(this);
  }
  ~Member() override {
    const std::lock_guard lock(state_->mutex);
    Group& group = state_->groups[key_];
    std::erase(group.members, this);
    if (group.owner == this) group.owner = nullptr;
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  Result<std::vector<ports::Assignment>> assignments(Deadline) override {
    std::int64_t generation = 0;
    bool takes_over = false;
    {
      const std::lock_guard lock(state_->mutex);
      const Group& group = state_->groups[key_];
      if (group.members.front() != this) return std::vector<ports::Assignment>{};
      takes_over = group.owner != this;
      generation = group.generation + (takes_over ? 1 : 0);
    }
    if (takes_over) {
      ::rocksdb::WriteBatch batch;
      batch.Put(generation_key(key_), generation_value(generation));
      // A number that was written in vain is given again, to this same take-over: nobody has seen it.
      MILLRACE_TRY(database_.write(batch, fmt::format("group {} takes over {}", key_.first, key_.second)));
      const std::lock_guard lock(state_->mutex);
      Group& group = state_->groups[key_];
      group.owner = this;
      group.generation = generation;
    }
    std::vector<ports::Assignment> mine;
    for (std::int32_t i = 0; i < partitions_; ++i) mine.push_back({{key_.second, i}, generation});
    return mine;
  }

  Result<void> commit(const ports::Assignment& assignment, const ports::CommittedOffset& offset,
                      Deadline deadline) override {
    const ports::AssignmentCommit commit{assignment, offset};
    return commit_all({&commit, 1}, deadline);
  }

  Result<void> commit_all(std::span<const ports::AssignmentCommit> commits, Deadline) override {
    ::rocksdb::WriteBatch batch;
    for (const auto& [assignment, offset] : commits) {
      MILLRACE_TRY(check(assignment, offset));
      batch.Put(commit_key(key_.first, assignment.partition), commit_value(offset));
    }
    if (commits.empty()) return {};
    MILLRACE_TRY(database_.write(batch, fmt::format("commit of group {}", key_.first)));
    const std::lock_guard lock(state_->mutex);
    for (const auto& [assignment, offset] : commits)
      state_->committed[{key_.first, assignment.partition}] = offset;
    return {};
  }

 private:
  [[nodiscard]] Result<void> check(const ports::Assignment& assignment,
                                   const ports::CommittedOffset& offset) const {
    if (offset.metadata.size() > ports::kCommitMetadataBytesMax)
      return base::invalid(fmt::format("commit metadata has {} bytes; at most {}", offset.metadata.size(),
                                       ports::kCommitMetadataBytesMax));
    if (offset.offset < 0) return base::invalid(fmt::format("offset {} cannot be committed", offset.offset));
    const ports::TopicPartition& partition = assignment.partition;
    const bool known =
        partition.topic == key_.second && partition.partition >= 0 && partition.partition < partitions_;
    const std::lock_guard lock(state_->mutex);
    const Group& group = state_->groups[key_];
    if (known && group.owner == this && assignment.generation == group.generation) return {};
    return base::conflict(
        fmt::format("partition {}/{} is not this member's under generation {}; ask for assignments again",
                    partition.topic, partition.partition, assignment.generation));
  }

  Database& database_;
  const std::shared_ptr<State> state_;
  const std::int32_t partitions_;
  const GroupKey key_;
};

Result<void> Groups::load() {
  MILLRACE_TRY(database_.for_each(kGenerationKey,
                                  [this](std::string_view key, std::string_view value) -> Result<void> {
                                    const auto stored = read_generation(key, value);
                                    if (!stored) return damaged("a group's generation cannot be read");
                                    state_->groups[stored->first].generation = stored->second;
                                    return {};
                                  }));
  return database_.for_each(kCommitKey, [this](std::string_view key, std::string_view value) -> Result<void> {
    auto stored = read_commit(key, value);
    if (!stored) return damaged("a committed offset cannot be read");
    state_->committed[{stored->group, stored->partition}] = std::move(stored->committed);
    return {};
  });
}

Result<std::unique_ptr<ports::GroupMember>> Groups::join(const std::string& group,
                                                         const ports::TopicInfo& topic) {
  if (group.empty() || group.size() > kGroupLengthMax)
    return base::invalid(fmt::format("a consumer group needs a name of 1 to {} bytes", kGroupLengthMax));
  return std::make_unique<Member>(database_, state_, topic.partitions, GroupKey(group, topic.topic));
}

std::optional<ports::CommittedOffset> Groups::committed(const std::string& group,
                                                        const ports::TopicPartition& partition) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->committed.find({group, partition});
  if (found == state_->committed.end()) return std::nullopt;
  return found->second;
}

std::vector<ports::GroupOffset> Groups::list_offsets() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<ports::GroupOffset> offsets;
  for (const auto& [where, committed] : state_->committed)
    offsets.push_back({where.first, where.second, committed});
  return offsets;
}

std::function<std::vector<ports::JoinedMember>()> Groups::joined() const {
  return [state = state_] {
    std::vector<ports::JoinedMember> members;
    const std::lock_guard lock(state->mutex);
    for (const auto& [key, group] : state->groups)
      for (const ports::GroupMember* const member : group.members)
        members.push_back({key.first, key.second, member == group.owner});
    return members;
  };
}

}  // namespace millrace::adapters::rocksdb
