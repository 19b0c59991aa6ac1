#include "app/operations.h"

#include <utility>

#include "sink/base_rows.h"

namespace millrace::app {

base::Result<std::unique_ptr<Operations>> Operations::start(const Settings& settings, Neighbours& neighbours,
                                                            ports::EventLog& log,
                                                            ports::LogInspector& inspector, Options options) {
  std::unique_ptr<Operations> made(new Operations);
  made->tables_ = std::make_unique<sink::WarehouseTables>(*neighbours.warehouse);
  made->letters_ = std::make_unique<letters::Letters>(
      log, *neighbours.letter_book, neighbours.clock,
      [&neighbours, tables = made->tables_.get()](const domain::AnalyticsRow& row,
                                                  base::Deadline deadline) -> base::Result<void> {
        MILLRACE_TRY_ASSIGN(const auto job, running_job(neighbours));
        // It would go into the table that a rebuild is about to replace.
        if (job) return base::conflict("a job is running (millrace jobs): replay the letter when it is done");
        return sink::load_base_row(*tables, neighbours.clock, row, deadline);
      },
      // The relay, which may be in another process, looks for new rows by itself.
      [] {});
  MILLRACE_TRY_ASSIGN(made->jobs_, Jobs::start(settings, neighbours, log, *made->tables_,
                                               std::move(options.hold), std::move(options.on_refusal)));
  made->log_view_ =
      std::make_unique<inspect::LogView>(settings.event_log_kind, log, inspector, neighbours.clock);
  if (options.verifies) made->verify_ = std::make_unique<VerifySchedule>(settings, neighbours);
  return made;
}

void Operations::stop() {
  if (verify_) verify_->request_stop();
  jobs_->stop();
  verify_.reset();
}

}  // namespace millrace::app
