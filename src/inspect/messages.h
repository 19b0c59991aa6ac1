// The last messages of a topic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "ports/event_log.h"

namespace millrace::inspect {

inline constexpr std::size_t kMessagesMax = 200;
inline constexpr std::size_t kMessageBytesMax = std::size_t{16} << 20u;  ///< That one look takes into memory.

struct Message {
  std::int32_t partition = 0;
  ports::Record record;
};

/// The last up to `count` (1 to kMessagesMax) messages of the topic, or of one partition of it, the latest
/// last: within a partition in the order of their offsets, over partitions by their times. Fewer come when
/// they are so large that they would pass kMessageBytesMax; one always does. Errors: kNotFound,
/// kUnavailable, kInvalid (`count`).
[[nodiscard]] base::Result<std::vector<Message>> last_messages(ports::EventLog& log, const std::string& topic,
                                                               std::optional<std::int32_t> partition,
                                                               std::size_t count, base::Deadline deadline);

}  // namespace millrace::inspect
