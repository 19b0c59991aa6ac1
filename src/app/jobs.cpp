#include "app/jobs.h"

#include <embedded/kWarehouseSchema.h>

#include "app/pipeline.h"
#include "app/warehouse_schema.h"
#include "base/exceptions.h"

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

base::Result<std::optional<ports::Job>> running_job(Neighbours& neighbours) {
  MILLRACE_TRY_ASSIGN(auto latest, neighbours.job_store->jobs(1, base::Deadline::in(kCallTimeout)));
  if (latest.empty() || latest.front().state != ports::JobState::kRunning) return std::nullopt;
  return std::move(latest.front());
}

base::Result<std::unique_ptr<Jobs>> Jobs::start(const Settings& settings, Neighbours& neighbours,
                                                ports::EventLog& log, sink::SinkTables& tables,
                                                rebuild::Hold hold,
                                                std::function<void(const base::Error&)> on_refusal) {
  const auto schema = split_statements(embedded::kWarehouseSchema);
  MILLRACE_TRY_ASSIGN(auto statements, rebuild::table_statements(schema));
  const bool has_to_hold = static_cast<bool>(hold);
  std::unique_ptr<Jobs> made(new Jobs(neighbours, has_to_hold ? std::move(hold) : [](bool) {}));
  const rebuild::Hold held_here = [jobs = made.get()](bool held) {
    jobs->runs_here_ = held;
    jobs->update_hold();
  };
  made->rebuild_ =
      std::make_unique<rebuild::Rebuild>(*neighbours.store, log, *neighbours.warehouse, neighbours.clock,
                                         std::move(statements), rebuild_options(settings), held_here);
  made->replay_ =
      std::make_unique<rebuild::Replay>(log, tables, neighbours.clock, replay_options(settings), held_here);
  made->runner_ = std::make_unique<jobs::Runner>(
      *neighbours.job_store, std::map<std::string, jobs::Handler*>{{"rebuild", made->rebuild_.get()},
                                                                   {"replay", made->replay_.get()}});
  made->service_ = std::make_unique<jobs::JobService>(*neighbours.job_store, job_checks(),
                                                      [runner = made->runner_.get()] { runner->wake(); });
  made->thread_ = std::thread([jobs = made.get(), on_refusal = std::move(on_refusal)] {
    const auto ended = base::without_exceptions([jobs] { return jobs->runner_->run(jobs->stop_); });
    if (!ended) on_refusal(ended.error());
  });
  if (has_to_hold) made->watch_ = std::thread([jobs = made.get()] { jobs->watch(); });
  return made;
}

void Jobs::watch() {
  do {
    // While the order store is away nothing changes.
    if (const auto job = running_job(neighbours_)) {
      runs_elsewhere_ = job->has_value();
      update_hold();
    }
  } while (!stop_.wait_for(kWatchInterval));
}

void Jobs::stop() {
  stop_.request();
  runner_->wake();
  if (thread_.joinable()) thread_.join();
  if (watch_.joinable()) watch_.join();
}

Jobs::~Jobs() {
  stop();
}

}  // namespace millrace::app
