#include "tools/backfill.h"

#include <utility>

#include <fmt/format.h>

namespace millrace::tools {
namespace {

using base::Result;
using ordering::Outcome;
using Clock = base::Deadline::Clock;

class Backfill {
 public:
  Backfill(ports::OrderStore& store, const SubmitCommand& submit, const BackfillOptions& options,
           const base::StopSignal& stop, const OnImportProgress& on_progress)
      : store_(store),
        options_(options),
        stop_(stop),
        on_progress_(on_progress),
        dispatcher_("backfill", options.dispatch, submit, stop) {}

  Result<BackfillReport> run() {
    progress_.phase = ImportPhase::kOrders;
    MILLRACE_TRY_ASSIGN(progress_.total,
                        store_.count_orders_to_backfill(base::Deadline::in(options_.read_timeout)));
    for (;;) {
      // Programs that know nothing of versions may add orders behind a pass.
      const std::uint64_t before = report_.backfilled;
      report_.refused = 0;
      report_.refusals.clear();
      MILLRACE_TRY(pass());
      if (report_.stopped || report_.backfilled == before) break;
    }
    progress_.total = progress_.done;
    show();
    report_.elapsed = elapsed_since(began_at_);
    return report_;
  }

 private:
  Result<void> pass() {
    domain::OrderId after;
    for (;;) {
      MILLRACE_TRY_ASSIGN(
          const auto ids,
          store_.orders_to_backfill(after, options_.orders_max, base::Deadline::in(options_.read_timeout)));
      if (ids.empty()) return {};
      MILLRACE_TRY_ASSIGN(
          const bool finished,
          dispatcher_.run(
              ids.size(), [&](std::size_t i) { return ordering::BackfillOrder{ids[i]}; },
              [&](std::size_t i, Result<Outcome> answer) { return on_answer(ids[i], std::move(answer)); },
              [this] { show(); }));
      report_.stopped = !finished || stop_.requested();
      if (report_.stopped) return {};
      after = ids.back();
    }
  }

  Result<void> on_answer(const domain::OrderId& id, Result<Outcome> answer) {
    if (answer) {
      if (answer->changed) ++report_.backfilled;
      ++progress_.done;
      return {};
    }
    // A fault of this order, not of the others.
    ++report_.refused;
    if (report_.refusals.size() < options_.refusals_shown_max)
      report_.refusals.push_back(fmt::format("order {}: {}", id.value(), answer.error().message));
    return {};
  }

  void show() {
    progress_.elapsed = elapsed_since(began_at_);
    progress_.waiting_for = dispatcher_.waiting_for();
    progress_.total = std::max(progress_.total, progress_.done);
    if (on_progress_) on_progress_(progress_);
  }

  ports::OrderStore& store_;
  const BackfillOptions& options_;
  const base::StopSignal& stop_;
  const OnImportProgress& on_progress_;
  Dispatcher dispatcher_;
  BackfillReport report_;
  ImportProgress progress_;
  const Clock::time_point began_at_ = Clock::now();
};

}  // namespace

Result<BackfillReport> backfill(ports::OrderStore& store, const SubmitCommand& submit,
                                const BackfillOptions& options, const base::StopSignal& stop,
                                const OnImportProgress& on_progress) {
  return Backfill(store, submit, options, stop, on_progress).run();
}

std::string to_text(const BackfillReport& report) {
  std::string text = fmt::format("backfilled {} orders in {:.1f} s\n", report.backfilled,
                                 static_cast<double>(report.elapsed.count()) / 1e3);
  for (const std::string& refusal : report.refusals) text += "  " + refusal + "\n";
  if (report.refused > report.refusals.size())
    text += fmt::format("  and {} more\n", report.refused - report.refusals.size());
  if (report.stopped) text += "stopped before the end; run it again to go on\n";
  return text;
}

}  // namespace millrace::tools
