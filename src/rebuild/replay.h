// A replay: records of orders_analytics are read again and their base rows written again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "base/utc_time.h"
#include "jobs/handler.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "rebuild/rebuild.h"
#include "sink/base_rows.h"
#include "sink/tables.h"

namespace millrace::rebuild {

struct ReplayParameters {
  std::string topic;
  std::variant<std::int64_t, base::UtcTime> from;  ///< An offset, or the time of a record.
  std::optional<std::int32_t> partition;           ///< All of them if it is not given.
};

/// {"topic": "orders_analytics", "from": "1234" or "2026-01-31T00:00:00Z", "partition": 0}. Errors: kInvalid,
/// also for topics that there is no use in replaying, with the reason.
[[nodiscard]] base::Result<ReplayParameters> read_replay(const boost::json::object& request);
[[nodiscard]] std::string to_json(const ReplayParameters& parameters);

/// How far a replay has come in one partition: [from, to) of which [next, to) is still to be done.
struct ReplayedPartition {
  std::int32_t partition = 0;
  std::int64_t from = 0;
  std::int64_t next = 0;
  std::int64_t to = 0;
  friend bool operator==(const ReplayedPartition&, const ReplayedPartition&) = default;
};

struct ReplayState {
  std::string topic_id;  ///< Of the topic.
  std::vector<ReplayedPartition> partitions;
  std::uint64_t rows = 0;  ///< Written.
  std::uint64_t unreadable =
      0;  ///< Records that are no rows, or rows that the table can never take: dead letters.
};

[[nodiscard]] std::string to_json(const ReplayState& state);
/// Errors: kFatal (a checkpoint of another program).
[[nodiscard]] base::Result<ReplayState> parse_replay_state(std::string_view json);

/// The first offset of [range.begin, range.end) whose record is of `time` or later; range.end if there is
/// none. By bisection: times in a partition only grow, but for steps of the clock. Errors: the log's.
[[nodiscard]] base::Result<std::int64_t> first_offset_at(ports::EventLog& log,
                                                         const ports::TopicPartition& partition,
                                                         ports::OffsetRange range, base::UtcTime time,
                                                         base::Deadline deadline);

struct ReplayOptions {
  sink::BaseRowsOptions base_rows;
  std::size_t batch_records_max = 2'000;
  std::size_t batch_bytes_max = 16u << 20u;
  std::chrono::milliseconds call_timeout{20'000};
};

/// Job "replay". What is noted is done; what was done and not noted is done again, to the same rows. What it
/// is given must outlive it. One caller.
class Replay final : public jobs::Handler {
 public:
  Replay(
      ports::EventLog& log, sink::SinkTables& tables, const ports::Clock& clock, ReplayOptions options,
      Hold hold = [](bool) {})
      : log_(log), tables_(tables), clock_(clock), options_(options), hold_(std::move(hold)) {}

  base::Result<std::string> run(const ports::Job& job, jobs::Attempt& attempt) override;
  /// Nothing is to be taken back: what was written is right.
  base::Result<bool> cancel(const ports::Job&, jobs::Attempt&) override { return true; }

 private:
  [[nodiscard]] base::Result<ReplayState> begin(const ReplayParameters& parameters);
  [[nodiscard]] base::Result<void> replay(ReplayState& state, ReplayedPartition& partition,
                                          sink::BaseRows& base_rows, jobs::Attempt& attempt);
  [[nodiscard]] base::Deadline soon() const { return base::Deadline::in(options_.call_timeout); }

  ports::EventLog& log_;
  sink::SinkTables& tables_;
  const ports::Clock& clock_;
  const ReplayOptions options_;
  const Hold hold_;
};

}  // namespace millrace::rebuild
