#include "sink/running_sums.h"

#include <utility>
#include <vector>

namespace millrace::sink {

base::Result<NextSums> next_sums(SinkTables& tables, const SumCache& cache, const std::string& source,
                                 std::uint64_t x, std::uint64_t y, std::span<const PendingRow> rows,
                                 base::Deadline deadline) {
  RollupMap<Sums> deltas;
  for (const PendingRow& pending : rows)
    if (pending.counts)
      for_each_delta(pending.row, [&](RollupKey key, const Sums& sums) { deltas[std::move(key)] += sums; });

  NextSums next;
  RollupMap<RunningSum>& newest = next.sums;
  std::vector<RollupKey> unknown;
  for (const auto& [key, delta] : deltas) {
    if (const auto known = cache.find(key)) {
      newest.emplace(key, *known);
    } else {
      unknown.push_back(key);
      newest.emplace(key, RunningSum{});
    }
  }
  if (!unknown.empty()) {
    MILLRACE_TRY_ASSIGN(const auto found, tables.read_sums(source, unknown, deadline));
    for (const auto& [key, sum] : found) newest[key] = sum;
    next.keys_read = unknown.size();
  }

  bool some_beyond_x = false;
  for (auto& [key, sum] : newest) {
    if (sum.upto <= x) {
      sum.sums += deltas.at(key);
    } else {
      some_beyond_x = true;
    }
  }
  // A sum beyond the position was written before a restart, or by a former owner: only what came after it is
  // added.
  if (some_beyond_x)
    for (const PendingRow& pending : rows)
      if (pending.counts)
        for_each_delta(pending.row, [&](const RollupKey& key, const Sums& sums) {
          RunningSum& sum = newest.at(key);
          if (sum.upto > x && pending.offset >= sum.upto) sum.sums += sums;
        });
  std::erase_if(newest, [y](const auto& entry) { return entry.second.upto >= y; });
  for (auto& [key, sum] : newest) sum.upto = y;
  return next;
}

}  // namespace millrace::sink
