#include "sink/refused_rows.h"

#include <span>
#include <utility>

namespace millrace::sink {

base::Result<std::vector<RefusedRow>> insert_by_halves(const std::vector<const domain::AnalyticsRow*>& rows,
                                                       const base::Error& refusal, const InsertRows& insert) {
  struct Refused {
    std::span<const domain::AnalyticsRow* const> rows;
    std::string reason;
  };
  std::vector<RefusedRow> to_blame;
  std::vector<Refused> open;
  if (!rows.empty()) open.push_back({rows, refusal.message});
  while (!open.empty()) {
    const Refused refused = std::move(open.back());
    open.pop_back();
    if (refused.rows.size() == 1) {
      to_blame.push_back({refused.rows.front(), refused.reason});
      continue;
    }
    const std::size_t half = refused.rows.size() / 2;
    for (const auto part : {refused.rows.subspan(half), refused.rows.subspan(0, half)}) {
      auto inserted = insert({part.begin(), part.end()});
      if (inserted) continue;
      if (inserted.error().kind != base::ErrorKind::kRejected) return std::unexpected(inserted.error());
      open.push_back({part, std::move(inserted.error().message)});
    }
  }
  return to_blame;
}

}  // namespace millrace::sink
