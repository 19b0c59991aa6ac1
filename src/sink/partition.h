// A partition that the sink loads.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ports/event_log.h"
#include "sink/cumulative_aggregates.h"
#include "sink/rollups.h"
#include "sink/tables.h"

namespace millrace::sink {

struct Partition {
  ports::Assignment assignment;
  std::string topic_id;
  std::string source;           ///< Generation, topic id and partition.
  SinkPosition loaded;          ///< All batches below are acknowledged.
  SinkPosition read;            ///< Where reading stands: `loaded` and the pending rows.
  SinkPosition recorded;        ///< Written as the position in the warehouse.
  std::int64_t committed = -1;  ///< To the log's group.
  std::vector<PendingRow> pending;
  RollupCache cache{0, 1};
};

/// Those that the sink has now.
using Partitions = std::map<ports::TopicPartition, Partition>;

}  // namespace millrace::sink
