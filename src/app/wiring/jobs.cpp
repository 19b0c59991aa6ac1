#include "app/wiring/jobs.h"

#include <embedded/kWarehouseSchema.h>

#include "app/wiring/pipeline.h"
#include "app/wiring/warehouse_schema.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kCallTimeout{10'000};
constexpr std::chrono::milliseconds kWatchInterval{1'000};

rebuild::Options rebuild_options(const Settings& settings) {
  rebuild::Options options;
  options.sink = sink_options(settings);
  return options;
}

rebuild::ReplayOptions replay_options(const Settings& settings) {
  const sink::Options sinking = sink_options(settings);
  rebuild::ReplayOptions options;
  options.base_rows = {.insert_timeout = sinking.insert_timeout,
                       .query_timeout = sinking.query_timeout,
                       .purged_check_age = sinking.purged_check_age};
  return options;
}

}  // namespace

std::map<std::string, jobs::Check> job_checks() {
  return {{"rebuild", [](const boost::json::object&) -> base::Result<std::string> { return "{}"; }},
          {"replay", [](const boost::json::object& request) -> base::Result<std::string> {
             MILLRACE_TRY_ASSIGN(const auto parameters, rebuild::read_replay(request));
             return rebuild::to_json(parameters);
           }}};
}

base::Result<std::optional<ports::Job>> running_job(Dependencies& dependencies) {
  MILLRACE_TRY_ASSIGN(auto latest, dependencies.job_store->jobs(1, base::Deadline::in(kCallTimeout)));
  if (latest.empty() || latest.front().state != ports::JobState::kRunning) return std::nullopt;
  return std::move(latest.front());
}

base::Result<std::unique_ptr<Jobs>> Jobs::start(const Settings& settings, Dependencies& dependencies,
                                                ports::EventLog& log, sink::SinkTables& tables,
                                                rebuild::Hold hold) {
  const auto schema = split_statements(embedded::kWarehouseSchema);
  MILLRACE_TRY_ASSIGN(auto statements, rebuild::table_statements(schema));
  const bool has_to_hold = static_cast<bool>(hold);
  std::unique_ptr<Jobs> made(new Jobs(dependencies, has_to_hold ? std::move(hold) : [](bool) {}));
  const rebuild::Hold held_here = [jobs = made.get()](bool held) {
    jobs->runs_here_ = held;
    jobs->update_hold();
  };
  made->rebuild_ = std::make_unique<rebuild::Rebuild>(*dependencies.store, log, *dependencies.warehouse,
                                                      dependencies.clock, std::move(statements),
                                                      rebuild_options(settings), held_here);
  made->replay_ =
      std::make_unique<rebuild::Replay>(log, tables, dependencies.clock, replay_options(settings), held_here);
  made->runner_ = std::make_unique<jobs::Runner>(
      *dependencies.job_store, std::map<std::string, jobs::Handler*>{{"rebuild", made->rebuild_.get()},
                                                                     {"replay", made->replay_.get()}});
  made->service_ = std::make_unique<jobs::JobService>(*dependencies.job_store, job_checks(),
                                                      [runner = made->runner_.get()] { runner->wake(); });
  made->execution_ = std::make_unique<StageRunner>(
      "jobs", [runner = made->runner_.get()](const base::StopSignal& stop) { return runner->run(stop); });
  if (has_to_hold) made->watch_ = std::thread([jobs = made.get()] { jobs->watch(); });
  return made;
}

void Jobs::watch() {
  do {
    // While the order store is unavailable nothing changes.
    if (const auto job = running_job(dependencies_)) {
      runs_elsewhere_ = job->has_value();
      update_hold();
    }
  } while (!stop_.wait_for(kWatchInterval));
}

bool Jobs::stop(base::Deadline deadline) {
  stop_.request();
  execution_->request_stop();
  runner_->wake();
  return execution_->wait_for_end(deadline);
}

Jobs::~Jobs() {
  if (execution_) stop(base::Deadline::in(std::chrono::milliseconds(0)));
  if (watch_.joinable()) watch_.join();
}

}  // namespace millrace::app
