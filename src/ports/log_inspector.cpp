#include "ports/log_inspector.h"

#include <algorithm>

namespace millrace::ports {

std::optional<std::int64_t> GroupPartition::lag() const {
  if (!committed || !end) return std::nullopt;
  // The end was asked for before or after: it may lie below a commit that came in between.
  return std::max<std::int64_t>(*end - *committed, 0);
}

std::int64_t GroupState::lag() const {
  std::int64_t sum = 0;
  for (const GroupPartition& partition : partitions) sum += partition.lag().value_or(0);
  return sum;
}

}  // namespace millrace::ports
