// Stage 4: reads orders_analytics, writes base rows and running sums.
#pragma once

#include <cstdint>
#include <string>

#include "base/deadline.h"
#include "base/result.h"
#include "base/stop.h"
#include "consumer/consumer_loop.h"
#include "consumer/offset_committer.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "sink/batch_collector.h"
#include "sink/batch_writer.h"
#include "sink/options.h"
#include "sink/partition.h"
#include "sink/position_writer.h"
#include "sink/tables.h"

namespace millrace::sink {

/// The first record that a sink needs whose commit this is: what was loaded is below. An offset that somebody
/// else committed says nothing: 0.
[[nodiscard]] std::int64_t needed_from(const ports::CommittedOffset& committed);

/// One caller thread for `run`.
class Sink : private consumer::Stage {
 public:
  Sink(ports::EventLog& log, SinkTables& tables, const ports::Clock& clock, Options options);

  /// Loads until `stop`; waits out outages of the log and the warehouse, going back to the position in the
  /// warehouse after every error, into the generation of the tables that is then the active one. Errors:
  /// kFatal when going on would break the sums (rows removed before they were loaded, a position beyond the
  /// log's end, a recreated topic, refused credentials), with the cure.
  [[nodiscard]] base::Result<void> run(const base::StopSignal& stop) { return loop_.run(stop); }

  [[nodiscard]] const Stats& stats() const { return stats_; }

 private:
  base::Result<void> reset() override;
  base::Result<void> check_topics(base::Deadline deadline) override;
  base::Result<void> open(const ports::Assignment& assignment) override;
  void close(const ports::TopicPartition& partition) override { partitions_.erase(partition); }
  base::Result<bool> step(ports::GroupMember& member, const base::StopSignal& stop) override;
  base::Result<void> finish(ports::GroupMember& member) override;
  std::uint64_t work_done() const override { return stats_.batches; }
  bool is_expected(const base::Error& error) override;

  [[nodiscard]] base::Result<void> check_range(const Partition& partition, const ports::OffsetRange& range);
  [[nodiscard]] base::Result<void> commit_positions(ports::GroupMember& member);
  [[nodiscard]] base::Deadline soon() const { return base::Deadline::in(options_.call_timeout); }

  ports::EventLog& log_;
  SinkTables& tables_;
  const Options options_;
  Stats stats_;
  Generation generation_;  // of the tables, as it was at the last reset
  std::string topic_id_;   // of the topic
  Partitions partitions_;
  BatchCollector collector_;
  BatchWriter writer_;
  PositionWriter position_writer_;
  consumer::OffsetCommitter committer_;
  consumer::ConsumerLoop loop_;
};

}  // namespace millrace::sink
