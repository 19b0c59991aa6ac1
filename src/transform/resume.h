// Where a transformer goes on in a partition.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "ports/event_log.h"

namespace millrace::transform {

/// How far the output topic says that a partition was transformed.
struct Progress {
  std::int64_t input_offset = -1;  ///< Of the last row; -1: there is none.
  std::string input_topic_id;      ///< Empty: it does not say.
};

/// What is known of a partition when it is opened.
struct ResumeFacts {
  ports::TopicPartition input;
  std::string input_topic_id;
  std::string output_topic;
  std::string output_topic_id;
  std::string group;
  std::optional<ports::CommittedOffset> committed;
  Progress progress;         ///< Asked for only when the commit is not a transformer's own (`is_own_commit`).
  ports::OffsetRange range;  ///< Of the input, asked for after the others.
};

struct ResumePoint {
  std::int64_t position = 0;  ///< The next record to read.
  std::int64_t window_start =
      0;                      ///< The window of repeats is rebuilt from the records from here to `position`.
  bool is_committed = false;  ///< `position` is what the group has committed.
  std::string warning;        ///< For the log; empty: nothing is unusual.
};

/// What a commit says beside the offset.
[[nodiscard]] std::string commit_metadata(std::int64_t window_start, const std::string& input_topic_id,
                                          const std::string& output_topic_id);
/// A transformer made this commit; an operator's tool leaves no such metadata.
[[nodiscard]] bool is_own_commit(const ports::CommittedOffset& committed);
/// The first record that a transformer needs which resumes at `committed`: the oldest of its window. The log
/// must keep all from there. An offset that somebody else committed says nothing: 0.
[[nodiscard]] std::int64_t needed_from(const ports::CommittedOffset& committed);

/// A pure function of the facts. Errors: kFatal when going on would lose events or take new ones for repeats,
/// with the cure.
[[nodiscard]] base::Result<ResumePoint> decide_resume(const ResumeFacts& facts);

}  // namespace millrace::transform
