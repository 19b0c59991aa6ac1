// Stage 3: reads order.events, writes orders_analytics.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/outage_logger.h"
#include "base/result.h"
#include "base/stop.h"
#include "ports/clock.h"
#include "ports/event_log.h"
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
};

/// Readable at any time from any thread.
struct Stats {
  base::StageHealth health;
  std::atomic<std::size_t> partitions{0};  ///< That this stage has now.
  std::atomic<std::uint64_t> rows_written{0};
  std::atomic<std::uint64_t> repeats_dropped{0};
  std::atomic<std::uint64_t> former_owner_dropped{0};
  std::atomic<std::uint64_t> dead_letters{0};
};

/// One caller thread for `run`.
class Transformer {
 public:
  Transformer(ports::EventLog& log, const ports::Clock& clock, Options options);

  /// Transforms until `stop`; waits out outages of the log. Repeats after a crash are runs of input offsets
  /// that do not rise. Errors: kFatal when going on would lose events (the position lies outside of the log,
  /// or the input topic was recreated), with the cure.
  [[nodiscard]] base::Result<void> run(const base::StopSignal& stop);

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
  };

  [[nodiscard]] base::Result<void> serve(const base::StopSignal& stop);
  [[nodiscard]] base::Result<void> follow_assignments(ports::GroupMember& member);
  [[nodiscard]] base::Result<Progress> progress(std::int32_t partition);
  [[nodiscard]] base::Result<void> look_at_topics(base::Deadline deadline);
  [[nodiscard]] base::Result<void> look_again();
  [[nodiscard]] base::Result<Partition> open(const ports::Assignment& assignment);
  [[nodiscard]] base::Result<void> rebuild_window(Partition& partition, std::int64_t window_start);
  [[nodiscard]] base::Result<std::size_t> advance();
  [[nodiscard]] std::vector<ports::LogPosition> positions() const;
  void transform(const ports::Record& record, Partition& partition, Batch& batch);
  [[nodiscard]] base::Result<void> commit(ports::GroupMember& member, base::Deadline deadline);
  [[nodiscard]] base::Result<bool> commit_or_go_on(ports::GroupMember& member);
  void note_success();
  [[nodiscard]] base::Deadline soon() const { return base::Deadline::in(options_.call_timeout); }

  ports::EventLog& log_;
  const ports::Clock& clock_;
  const Options options_;
  std::map<ports::TopicPartition, Partition> partitions_;
  std::string topic_id_;         // of the input topic
  std::string output_topic_id_;  // of the output topic
  std::int32_t partitions_known_ = 0;
  std::size_t read_turn_ = 0;  // whose share of a read is taken first
  base::Deadline next_look_ = base::Deadline::in(std::chrono::milliseconds(0));  // at the topics
  bool log_is_silent_ = false;  // it did not answer the last look, and nothing has come since
  base::OutageLogger outage_{std::chrono::minutes(5), &stats_.health};
  base::OutageLogger commit_outage_;
  bool opens_told_ = false;  // where partitions go on was logged already in this outage
  Stats stats_;
};

}  // namespace millrace::transform
