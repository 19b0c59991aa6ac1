#include "app/wiring/instrumented_log.h"

#include <utility>

namespace millrace::app {
namespace {

class MeasuredAppend final : public ports::PendingAppend {
 public:
  MeasuredAppend(std::unique_ptr<ports::PendingAppend> append, telemetry::Histogram duration,
                 std::chrono::steady_clock::time_point begun)
      : append_(std::move(append)), duration_(duration), begun_(begun) {}

  base::Result<bool> wait(base::Deadline deadline) override {
    auto done = append_->wait(deadline);
    if (done && *done) duration_.observe(std::chrono::steady_clock::now() - begun_);
    return done;
  }

 private:
  std::unique_ptr<ports::PendingAppend> append_;
  const telemetry::Histogram duration_;
  const std::chrono::steady_clock::time_point begun_;
};

class MeasuredMember final : public ports::GroupMember {
 public:
  MeasuredMember(std::unique_ptr<ports::GroupMember> member, telemetry::Histogram duration)
      : member_(std::move(member)), duration_(duration) {}

  base::Result<std::vector<ports::Assignment>> assignments(base::Deadline deadline) override {
    return member_->assignments(deadline);
  }
  base::Result<void> commit(const ports::Assignment& assignment, const ports::CommittedOffset& offset,
                            base::Deadline deadline) override {
    const telemetry::Timer timer(duration_);
    return member_->commit(assignment, offset, deadline);
  }
  base::Result<void> commit_all(std::span<const ports::AssignmentCommit> commits,
                                base::Deadline deadline) override {
    const telemetry::Timer timer(duration_);
    return member_->commit_all(commits, deadline);
  }

 private:
  std::unique_ptr<ports::GroupMember> member_;
  const telemetry::Histogram duration_;
};

}  // namespace

base::Result<std::unique_ptr<ports::PendingAppend>> InstrumentedLog::start_append(
    std::span<const ports::PartitionRecords> batches, base::Deadline deadline) {
  const auto begun = std::chrono::steady_clock::now();  // a log may carry the append out at once
  MILLRACE_TRY_ASSIGN(auto append, log_.start_append(batches, deadline));
  return std::make_unique<MeasuredAppend>(std::move(append), append_, begun);
}

base::Result<std::unique_ptr<ports::GroupMember>> InstrumentedLog::join(const std::string& group,
                                                                        const std::string& topic,
                                                                        base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto member, log_.join(group, topic, deadline));
  return std::make_unique<MeasuredMember>(std::move(member), commit_);
}

}  // namespace millrace::app
