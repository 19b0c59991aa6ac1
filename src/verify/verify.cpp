#include "verify/verify.h"

#include <chrono>

#include "base/deadline.h"
#include "verify/candidates.h"
#include "verify/first_pass.h"
#include "verify/recheck.h"
#include "verify/run_context.h"

namespace millrace::verify {
namespace {

constexpr std::chrono::milliseconds kPingTimeout{10'000};

template <class KeyType>
void conclude(Table<KeyType>& table, VerifyReport& report) {
  for (const auto& [key, verdict] : table.candidates)
    ++(verdict == Verdict::kInFlight ? table.report.in_flight : table.report.differences);
  table.report.differences += table.overflow;
  table.report.too_many = table.overflow > 0;
  report.tables.push_back(table.report);
  report.differences.insert(report.differences.end(), table.lines.begin(), table.lines.end());
}

}  // namespace

base::Result<VerifyReport> verify(ports::SqlReader& reader, ports::Warehouse& warehouse,
                                  const VerifyOptions& options,
                                  const std::function<void(const VerifyProgress&)>& progress) {
  const auto start = std::chrono::steady_clock::now();
  RunContext context(reader, warehouse, options, progress);
  Candidates found;
  MILLRACE_TRY(context.retrying([&] { return warehouse.ping(base::Deadline::in(kPingTimeout)); }));
  MILLRACE_TRY(FirstPass(context, found).run());
  Recheck recheck(context, found);
  MILLRACE_TRY(recheck.run());

  VerifyReport report;
  report.rounds = recheck.rounds();
  conclude(found.orders, report);
  for (const View& view : all_views()) conclude(found.of(view), report);
  report.spent =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  return report;
}

}  // namespace millrace::verify
