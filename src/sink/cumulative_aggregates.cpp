#include "sink/cumulative_aggregates.h"

#include <utility>
#include <vector>

namespace millrace::sink {

base::Result<NextSums> next_sums(SinkTables& tables, const RollupCache& cache, const std::string& source,
                                 std::uint64_t x, std::uint64_t y, std::span<const PendingRow> rows,
                                 base::Deadline deadline) {
  RollupMap<Sums> deltas;
  for (const PendingRow& pending : rows)
    if (pending.counts)
      for_each_delta(pending.row, [&](RollupKey key, const Sums& sums) { deltas[std::move(key)] += sums; });

  NextSums next;
  RollupMap<CumulativeAggregate>& newest = next.sums;
  std::vector<RollupKey> unknown;
  for (const auto& [key, delta] : deltas) {
    if (const auto known = cache.find(key)) {
      newest.emplace(key, *known);
    } else {
      unknown.push_back(key);
      newest.emplace(key, CumulativeAggregate{});
    }
  }
  if (!unknown.empty()) {
    MILLRACE_TRY_ASSIGN(const auto found, tables.read_sums(source, unknown, deadline));
    for (const auto& [key, sum] : found) newest[key] = sum;
    next.keys_read = unknown.size();
  }

  bool some_beyond_x = false;
  for (auto& [key, sum] : newest) {
    if (sum.as_of_offset <= x) {
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
          CumulativeAggregate& sum = newest.at(key);
          if (sum.as_of_offset > x && pending.offset >= sum.as_of_offset) sum.sums += sums;
        });
  std::erase_if(newest, [y](const auto& entry) { return entry.second.as_of_offset >= y; });
  for (auto& [key, sum] : newest) sum.as_of_offset = y;
  return next;
}

}  // namespace millrace::sink
