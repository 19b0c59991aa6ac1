// How large batches and records may be, as the topics that are written to have it.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "base/deadline.h"

namespace millrace::adapters::kafka {

/// Begins with what we would like to send; narrower while topics take less (their max.message.bytes). Asks
/// nobody itself. Thread-safe.
class RecordLimit {
 public:
  /// Batches of up to `batch_bytes`, records of up to `record_bytes` (key + value + headers).
  RecordLimit(std::size_t record_bytes, std::size_t batch_bytes)
      : record_bytes_wanted_(record_bytes), batch_bytes_wanted_(batch_bytes), batch_bytes_(batch_bytes) {}

  [[nodiscard]] std::size_t batch_bytes() const;
  [[nodiscard]] std::size_t record_bytes() const;

  /// A batch of ours was too large for the topic, which takes `topic_bytes`; where we may not ask it, less
  /// than what was refused: half a batch, or the largest record in it. Returns how much that is now.
  std::size_t narrow(const std::string& topic, std::optional<std::size_t> topic_bytes,
                     std::size_t largest_record);

  /// The topics that take less, when it is time to ask them again (now and then); else none.
  [[nodiscard]] std::set<std::string> topics_to_ask();
  /// What all of them together take now. True if that is all that we would like.
  bool renew(std::size_t topic_bytes);

 private:
  const std::size_t record_bytes_wanted_;
  const std::size_t batch_bytes_wanted_;
  mutable std::mutex mutex_;
  std::size_t batch_bytes_;  // guarded by mutex_, as all below
  std::set<std::string> narrow_topics_;
  base::Deadline next_ask_ = base::Deadline::in({});
};

}  // namespace millrace::adapters::kafka
