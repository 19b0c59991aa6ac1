// Consumer groups of the embedded log: who owns a topic's partitions, and what was committed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/keys.h"
#include "base/result.h"
#include "ports/event_log.h"
#include "ports/one_process_inspector.h"

namespace millrace::adapters::rocksdb {

/// The member that joined a topic first owns all its partitions; the next takes over, under a higher
/// generation, when it has left. Thread-safe; nothing here waits for a disk but a commit and a take-over, and
/// those hold up nobody else.
class Groups {
 public:
  explicit Groups(Database& database) : database_(database) {}

  /// What the database has. Before others use it. Errors: kFatal (damaged).
  [[nodiscard]] base::Result<void> load();

  /// Errors: kInvalid (the group's name). The member may outlive this, but must not be used then.
  [[nodiscard]] base::Result<std::unique_ptr<ports::GroupMember>> join(const std::string& group,
                                                                       const ports::TopicInfo& topic);
  /// Durable ones.
  [[nodiscard]] std::optional<ports::CommittedOffset> committed(const std::string& group,
                                                                const ports::TopicPartition& partition) const;
  [[nodiscard]] std::vector<ports::GroupOffset> list_offsets() const;
  /// Who is in which group. May be asked after this is gone.
  [[nodiscard]] std::function<std::vector<ports::JoinedMember>()> joined() const;

 private:
  class Member;
  struct Group {
    std::vector<const ports::GroupMember*> members;  // the first owns all partitions, once it has taken over
    const ports::GroupMember* owner = nullptr;
    std::int64_t generation = 0;
  };
  /// Shared with the members, so that one may leave after the log is gone. No sync happens under its mutex.
  struct State {
    std::mutex mutex;
    std::map<GroupKey, Group> groups;  // guarded by mutex
    std::map<std::pair<std::string, ports::TopicPartition>, ports::CommittedOffset>
        committed;  // guarded by mutex
  };

  Database& database_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace millrace::adapters::rocksdb
