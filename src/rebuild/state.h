// What a rebuild has done so far: its checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sink/tables.h"

namespace millrace::rebuild {

/// In this order. Each is done again from its beginning, or from what is noted for it, after any end.
enum class Phase {
  kBegin,     ///< Nothing is noted yet.
  kCreate,    ///< Generation, names and positions are noted; the tables may be there.
  kSnapshot,  ///< The tables are there; orders up to `last_id` are staged.
  kFill,      ///< All orders are staged; slices below `slice`, up to `last_id`, are in the shadow tables.
  kCatchUp,   ///< The snapshot is in; the log is read into the shadow tables.
  kExchange,  ///< From here on there is no way back: the shadow tables take the place of the live ones.
  kClean,     ///< The generation is in use; what it replaced is dropped.
};

[[nodiscard]] std::string_view to_string(Phase phase);

/// Where reading a partition begins: everything below was committed in the order store before the snapshot.
struct StartPosition {
  std::int32_t partition = 0;
  sink::SinkPosition position;
  friend bool operator==(const StartPosition&, const StartPosition&) = default;
};

struct State {
  Phase phase = Phase::kBegin;
  sink::Generation generation;
  std::string topic_id;  ///< Of the topic.
  std::vector<StartPosition> positions;
  std::string staging;  ///< Name of the table in which the snapshot is gathered, without its database.
  std::string base;     ///< Of the shadow table, likewise.
  std::string rollups;  ///< Likewise.
  std::string base_uuid;
  std::string rollups_uuid;
  std::string last_id;
  std::uint64_t orders = 0;  ///< Staged.
  std::uint64_t slice = 0;
  std::uint64_t slice_orders = 0;
  std::uint64_t skipped = 0;  ///< Orders that cannot be rows of the warehouse.
  friend bool operator==(const State&, const State&) = default;
};

[[nodiscard]] std::string to_json(const State& state);
/// Empty text is the beginning. Errors: kFatal (a checkpoint of another program).
[[nodiscard]] base::Result<State> parse_state(std::string_view json);

}  // namespace millrace::rebuild
