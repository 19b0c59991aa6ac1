// The loop of a stage that reads a topic as a member of a consumer group.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/outage_logger.h"
#include "base/result.h"
#include "base/stage_health.h"
#include "base/stop.h"
#include "ports/event_log.h"

namespace millrace::consumer {

/// A stage's own part. All calls come from the thread of ConsumerLoop::run. An error of any of them makes the
/// loop begin again with `reset`, but kFatal, which ends it.
class Stage {
 public:
  virtual ~Stage() = default;

  /// Forgets all partitions and whatever else an error may have made wrong: the loop joins the group anew.
  [[nodiscard]] virtual base::Result<void> reset() = 0;
  /// Looks the topics up and makes those that are missing. Errors: kConflict when one was recreated while
  /// partitions are open.
  [[nodiscard]] virtual base::Result<void> check_topics(base::Deadline deadline) = 0;
  /// Takes over a partition, from where it was left.
  [[nodiscard]] virtual base::Result<void> open(const ports::Assignment& assignment) = 0;
  /// The partition has passed to another member.
  virtual void close(const ports::TopicPartition& partition) = 0;
  /// One round over the open partitions, of which there is at least one: takes what there is, or waits for a
  /// record, at most about the idle time. Returns whether records came.
  [[nodiscard]] virtual base::Result<bool> step(ports::GroupMember& member, const base::StopSignal& stop) = 0;
  /// A stop was asked for: makes the last positions durable.
  [[nodiscard]] virtual base::Result<void> finish(ports::GroupMember& member) = 0;

  /// Rises with every piece of work that is done: after one, pauses between attempts are short again.
  [[nodiscard]] virtual std::uint64_t work_done() const = 0;
  /// Whether this error is part of ordinary work, so that it is no outage; says so in the log if it is.
  [[nodiscard]] virtual bool is_expected(const base::Error& error) {
    (void)error;
    return false;
  }
};

struct LoopOptions {
  std::string stage;         ///< For log lines.
  std::string resumes_from;  ///< For log lines: "the committed offset".
  std::string group;
  std::string topic;
  std::chrono::milliseconds idle_wait{200};        ///< Between looks at the assignments while there are none.
  std::chrono::milliseconds call_timeout{10'000};  ///< Of one call to the log.
  /// How often it is looked whether the topics are still the same, and have as many partitions as before.
  std::chrono::milliseconds topic_check_interval{5'000};
};

/// What the loop tells of itself; readable from any thread.
struct LoopStats {
  base::StageHealth health;
  std::atomic<std::size_t> partitions{0};  ///< That this member has now.
  std::atomic<std::uint64_t> restarts{0};  ///< Times that it began again after an error.
};

/// One caller thread for `run`.
class ConsumerLoop {
 public:
  /// All of them must outlive the loop.
  ConsumerLoop(ports::EventLog& log, Stage& stage, LoopStats& stats, LoopOptions options);

  /// Runs the stage until `stop`, waits out outages with growing pauses. Errors: kFatal, the stage's or the
  /// log's.
  [[nodiscard]] base::Result<void> run(const base::StopSignal& stop);

  /// How a stage logs that it opened a partition: at level debug while an outage makes it do so again and
  /// again.
  [[nodiscard]] bool opened_before_in_this_outage() const { return opened_before_; }

 private:
  [[nodiscard]] base::Result<void> serve(const base::StopSignal& stop);
  [[nodiscard]] base::Result<void> follow_assignments(ports::GroupMember& member);
  [[nodiscard]] base::Result<void> check_topics(base::Deadline deadline);
  [[nodiscard]] base::Result<void> check_topics_when_due();
  void note_success();
  [[nodiscard]] base::Deadline soon() const { return base::Deadline::in(options_.call_timeout); }

  ports::EventLog& log_;
  Stage& stage_;
  LoopStats& stats_;
  const LoopOptions options_;
  std::vector<ports::Assignment> open_;
  base::Deadline next_topic_check_ = base::Deadline::in(std::chrono::milliseconds(0));
  bool log_is_unavailable_ = false;  // it did not answer the last check, and nothing has come since
  base::OutageLogger outage_;
  bool opened_before_ = false;
};

}  // namespace millrace::consumer
