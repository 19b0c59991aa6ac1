// Commits of offsets to the event log's consumer group, which never hold a stage up.
#pragma once

#include <chrono>
#include <span>
#include <string>

#include "base/backoff.h"
#include "base/deadline.h"
#include "base/outage_logger.h"
#include "base/result.h"
#include "ports/event_log.h"

namespace millrace::consumer {

struct CommitOptions {
  std::string stage;                       ///< For log lines.
  std::chrono::milliseconds interval{0};   ///< Between two commits that succeed.
  std::chrono::milliseconds timeout{500};  ///< Of one commit.
};

/// One caller; not thread-safe.
class OffsetCommitter {
 public:
  explicit OffsetCommitter(CommitOptions options);

  [[nodiscard]] bool is_due() const { return due_.passed(); }
  [[nodiscard]] std::chrono::milliseconds until_due() const { return due_.left(); }

  /// Whether all were committed. A failure is logged once in an outage, and the next commit is due after a
  /// pause: what is not committed is only done again after a crash, and whether a partition has passed to
  /// another member the assignments say. `commits` is not empty. Errors: kFatal, as the log's.
  [[nodiscard]] base::Result<bool> commit(ports::GroupMember& member,
                                          std::span<const ports::AssignmentCommit> commits);

 private:
  const CommitOptions options_;
  base::OutageLogger outage_;
  base::Backoff backoff_;
  base::Deadline due_ = base::Deadline::in(std::chrono::milliseconds(0));
};

}  // namespace millrace::consumer
