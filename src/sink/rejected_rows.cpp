#include "sink/rejected_rows.h"

#include <span>
#include <utility>

#include <fmt/format.h>

namespace millrace::sink {
namespace {

std::string reason_of(const base::Error& refusal) {
  if (refusal.vendor_code == 0) return refusal.message;
  return fmt::format("the warehouse does not take the row (code {}); the log says more", refusal.vendor_code);
}

}  // namespace

base::Result<std::vector<RefusedRow>> bisect_insert(const std::vector<const domain::AnalyticsRow*>& rows,
                                                    const base::Error& refusal, const InsertRows& insert) {
  struct Refused {
    std::span<const domain::AnalyticsRow* const> rows;
    base::Error refusal;
  };
  std::vector<RefusedRow> to_blame;
  std::vector<Refused> open;
  if (!rows.empty()) open.push_back({rows, refusal});
  while (!open.empty()) {
    Refused refused = std::move(open.back());
    open.pop_back();
    if (refused.rows.size() == 1) {
      to_blame.push_back(
          {refused.rows.front(), reason_of(refused.refusal), std::move(refused.refusal.message)});
      continue;
    }
    const std::size_t half = refused.rows.size() / 2;
    for (const auto part : {refused.rows.subspan(half), refused.rows.subspan(0, half)}) {
      auto inserted = insert({part.begin(), part.end()});
      if (inserted) continue;
      if (inserted.error().kind != base::ErrorKind::kRejected) return std::unexpected(inserted.error());
      open.push_back({part, std::move(inserted.error())});
    }
  }
  return to_blame;
}

}  // namespace millrace::sink
