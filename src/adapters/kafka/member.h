// A member of a Kafka consumer group that owns partitions and commits for them, and reads nothing itself.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "adapters/kafka/client.h"
#include "ports/event_log.h"

namespace millrace::adapters::kafka {

/// One caller thread, as ports::GroupMember.
class Member final : public ports::GroupMember {
 public:
  /// Joins; partitions come later. Errors: kInvalid (settings), kUnavailable.
  [[nodiscard]] static base::Result<std::unique_ptr<Member>> join(const Client::Settings& settings,
                                                                  const std::string& topic);
  ~Member() override;
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  base::Result<std::vector<ports::Assignment>> assignments(base::Deadline deadline) override;
  base::Result<void> commit(const ports::Assignment& assignment, const ports::CommittedOffset& offset,
                            base::Deadline deadline) override;
  /// One request for all.
  base::Result<void> commit_all(std::span<const ports::AssignmentCommit> commits,
                                base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Result<void> check(const ports::AssignmentCommit& commit) const;
  explicit Member(std::string topic) : topic_(std::move(topic)) {}
  static void on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t* list, void* opaque);

  const std::string topic_;
  std::map<std::int32_t, std::int64_t>
      owned_;  // partition → generation of its assignment; changed while polling
  std::unique_ptr<Client> client_;
};

}  // namespace millrace::adapters::kafka
