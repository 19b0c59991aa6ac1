// Stage 3: reads order.events, writes orders_analytics.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "base/stop.h"
#include "consumer/consumer_loop.h"
#include "consumer/offset_committer.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "telemetry/tracer.h"
#include "transform/repeats.h"
#include "transform/resume.h"

namespace millrace::transform {

struct Options {
  std::string input_topic = "order.events";
  std::string output_topic = "orders_analytics";
  std::string dead_letter_topic = "order.events-dlq";
  std::string group = "order-event-transformer";
  std::size_t window_events = 4'000;        ///< W; several times the relay's batch_rows_max.
  std::size_t batch_records_max = 2'000;    ///< Read at a time, for each partition.
  std::size_t batch_bytes_max = 8u << 20u;  ///< Read at a time, over all partitions.
  std::chrono::milliseconds commit_interval{200};
  std::chrono::milliseconds commit_timeout{500};  ///< Of one; it is tried again later.
  std::chrono::milliseconds idle_wait{200};       ///< The longest sleep; a record ends it at once.
  std::chrono::milliseconds call_timeout{10'000};
  /// How often it is looked whether the topics are still the same, and have as many partitions as before.
  std::chrono::milliseconds topic_check_interval{5'000};
  telemetry::Tracer tracer = {};  ///< Of the records: from being read to their rows' being in the log.
};

/// Readable at any time from any thread.
struct Stats : consumer::LoopStats {
  std::atomic<std::uint64_t> rows_written{0};
  std::atomic<std::uint64_t> repeats_dropped{0};
  std::atomic<std::uint64_t> former_owner_dropped{0};
  std::atomic<std::uint64_t> dead_letters{0};
};

/// One caller thread for `run`.
class Transformer : private consumer::Stage {
 public:
  Transformer(ports::EventLog& log, const ports::Clock& clock, Options options);

  /// Transforms until `stop`; waits out outages of the log. Repeats after a crash are runs of input offsets
  /// that do not rise. Errors: kFatal when going on would lose events (the position lies outside of the log,
  /// or the input topic was recreated), with the cure.
  [[nodiscard]] base::Result<void> run(const base::StopSignal& stop) { return loop_.run(stop); }

  [[nodiscard]] const Stats& stats() const { return stats_; }

 private:
  struct Partition {
    ports::Assignment assignment;
    std::int64_t position = 0;  // the next record to read; everything below is in an output topic
    std::int64_t committed = -1;
    RepeatWindow window{1};
  };
  struct Batch {
    std::vector<ports::NewRecord> rows;
    std::vector<ports::NewRecord> dead_letters;
    std::vector<telemetry::Span> spans;
  };

  base::Result<void> reset() override;
  base::Result<void> check_topics(base::Deadline deadline) override;
  base::Result<void> open(const ports::Assignment& assignment) override;
  void close(const ports::TopicPartition& partition) override { partitions_.erase(partition); }
  base::Result<bool> step(ports::GroupMember& member, const base::StopSignal& stop) override;
  base::Result<void> finish(ports::GroupMember& member) override { return commit(member); }
  std::uint64_t work_done() const override { return stats_.rows_written; }

  [[nodiscard]] base::Result<Progress> progress(std::int32_t partition);
  [[nodiscard]] base::Result<void> rebuild_window(Partition& partition, std::int64_t window_start);
  [[nodiscard]] base::Result<std::size_t> advance();
  [[nodiscard]] std::vector<ports::LogPosition> positions() const;
  void transform(const ports::Record& record, Partition& partition, Batch& batch);
  [[nodiscard]] base::Result<void> commit(ports::GroupMember& member);
  [[nodiscard]] bool is_all_committed() const;
  [[nodiscard]] base::Deadline soon() const { return base::Deadline::in(options_.call_timeout); }

  ports::EventLog& log_;
  const ports::Clock& clock_;
  const Options options_;
  Stats stats_;
  std::map<ports::TopicPartition, Partition> partitions_;
  std::string topic_id_;         // of the input topic
  std::string output_topic_id_;  // of the output topic
  std::size_t read_turn_ = 0;    // whose share of a read is taken first
  consumer::OffsetCommitter committer_;
  consumer::ConsumerLoop loop_;
};

}  // namespace millrace::transform
