#include "app/wiring/operations.h"

#include <utility>

#include "sink/base_rows.h"

namespace millrace::app {

base::Result<std::unique_ptr<Operations>> Operations::start(const Settings& settings,
                                                            Dependencies& dependencies, ports::EventLog& log,
                                                            ports::LogInspector& inspector, Options options) {
  std::unique_ptr<Operations> made(new Operations);
  made->tables_ = std::make_unique<sink::WarehouseTables>(*dependencies.warehouse);
  made->letters_ = std::make_unique<dead_letters::DeadLetters>(
      log, *dependencies.dead_letter_store, dependencies.clock,
      [&dependencies, tables = made->tables_.get()](const domain::AnalyticsRow& row,
                                                    base::Deadline deadline) -> base::Result<void> {
        MILLRACE_TRY_ASSIGN(const auto job, running_job(dependencies));
        // It would go into the table that a rebuild is about to replace.
        if (job) return base::conflict("a job is running (millrace jobs): replay the letter when it is done");
        return sink::load_base_row(*tables, dependencies.clock, row, deadline);
      },
      std::move(options.on_replayed));
  MILLRACE_TRY_ASSIGN(made->jobs_,
                      Jobs::start(settings, dependencies, log, *made->tables_, std::move(options.hold)));
  made->log_view_ =
      std::make_unique<inspect::LogView>(settings.event_log_kind, log, inspector, dependencies.clock);
  if (options.verifies) made->verify_ = std::make_unique<VerifySchedule>(settings, dependencies);
  return made;
}

bool Operations::stop(base::Deadline deadline) {
  request_stop();
  return jobs_ == nullptr || jobs_->stop(deadline);
}

}  // namespace millrace::app
