#include "app/wiring/pipeline.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/wiring/event_log.h"
#include "base/backoff.h"
#include "base/outage_logger.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kCallTimeout{10'000};
// While the log is unavailable at the start.
constexpr std::chrono::milliseconds kStartCallTimeout{1'000};
constexpr std::chrono::milliseconds kStartPauseFirst{100};
constexpr std::chrono::milliseconds kStartPauseLongest{2'000};
constexpr std::chrono::milliseconds kStartReminder{60'000};
constexpr std::chrono::milliseconds kTopicsPoll{20};
constexpr std::chrono::milliseconds kDrainPause{5};
constexpr std::chrono::milliseconds kDeletionInterval{10 * 60'000};
constexpr std::size_t kProbeBytes = 1;
constexpr std::chrono::milliseconds kHeldPollInterval{200};
// Rows are looked up among the purged orders from this age on; see sink::Options.
constexpr std::chrono::milliseconds kPurgedCheckAge{3'600'000};
// Between the warehouse's look at its clock and the rows' being there.
constexpr std::chrono::milliseconds kInsertMargin{30'000};

base::Deadline soon() {
  return base::Deadline::in(kCallTimeout);
}

relay::Options relay_options(const Settings& settings, bool rebuilds) {
  relay::Options options;
  options.shards = static_cast<std::int32_t>(settings.relay_shards);
  options.accepted_topic_id = settings.relay_accept_topic;
  options.accepts_new_topics = rebuilds;
  options.partitions = static_cast<std::int32_t>(settings.event_log_partitions);
  options.batch_rows_max = static_cast<std::size_t>(settings.relay_batch_size);
  options.poll_interval_min = settings.relay_poll_interval_min;
  options.poll_interval_max = settings.relay_poll_interval;
  return options;
}

transform::Options transform_options(const Settings& settings) {
  transform::Options options;
  options.window_events = static_cast<std::size_t>(settings.transform_window);
  options.batch_records_max = static_cast<std::size_t>(settings.transform_batch_size);
  options.commit_interval = settings.transform_commit_interval;
  return options;
}

purge::Options purge_options(const Settings& settings) {
  purge::Options options;
  options.period = settings.purge_period;
  options.interval = settings.purge_interval;
  options.orders_max = static_cast<std::size_t>(settings.purge_batch_size);
  options.insert_life = 2 * settings.sink_insert_timeout + options.call_timeout + kInsertMargin;
  return options;
}

}  // namespace

sink::Options sink_options(const Settings& settings) {
  sink::Options options;
  options.batch_rows_max = static_cast<std::size_t>(settings.sink_batch_size);
  options.max_delay = settings.sink_max_delay;
  options.position_interval = settings.sink_position_interval;
  options.insert_timeout = settings.sink_insert_timeout;
  options.cached_keys_max = static_cast<std::size_t>(settings.sink_cached_keys_max);
  options.purged_check_age = std::min(kPurgedCheckAge, settings.purge_period / 2);
  return options;
}

base::Result<std::unique_ptr<Pipeline>> Pipeline::start(const Settings& settings, Dependencies& dependencies,
                                                        telemetry::Registry& registry, Stages stages,
                                                        bool held) {
  std::unique_ptr<Pipeline> made(new Pipeline(settings, dependencies));
  made->runs_ = stages;
  MILLRACE_TRY_ASSIGN(const auto shards, own_shards(settings));
  const telemetry::Histogram fsync_duration = settings.event_log_kind == "embedded"
                                                  ? registry.histogram("millrace_log_fsync_duration_seconds")
                                                  : telemetry::Histogram();
  MILLRACE_TRY_ASSIGN(InspectedLog opened, open_inspected_log(settings, fsync_duration));
  made->log_ = std::move(opened.log);
  made->log_inspector_ = std::move(opened.inspector);
  made->kafka_ = opened.kafka;
  // The log in this process is there, or never will be; a cluster may come later than we do.
  if (settings.event_log_kind == "embedded") {
    MILLRACE_TRY(made->make_topics());
    made->has_topics_ = true;
  }
  made->make_stages(registry, stages.rebuilds, shards);
  made->hold(held);
  made->start_stages();
  return made;
}

void Pipeline::make_stages(telemetry::Registry& registry, bool rebuilds,
                           const std::vector<std::int32_t>& shards) {
  relay_log_ = std::make_unique<InstrumentedLog>(*log_, registry, "relay");
  transform_log_ = std::make_unique<InstrumentedLog>(*log_, registry, "transform");
  sink_log_ = std::make_unique<InstrumentedLog>(*log_, registry, "sink");
  tables_ = std::make_unique<sink::WarehouseTables>(*dependencies_.warehouse);
  for (const std::int32_t shard : shards) {
    auto own = relay_options(settings_, rebuilds);
    own.shard = shard;
    own.tracer = dependencies_.tracer;
    relays_.push_back(std::make_unique<relay::Relay>(*dependencies_.outbox, *relay_log_, dependencies_.clock,
                                                     std::move(own)));
  }
  relay::CleanerOptions cleaning;
  cleaning.retention = settings_.relay_retention;
  cleaner_ = std::make_unique<relay::OutboxCleaner>(*dependencies_.outbox, dependencies_.clock, cleaning);
  auto transforming = transform_options(settings_);
  transforming.tracer = dependencies_.tracer;
  transformer_ =
      std::make_unique<transform::Transformer>(*transform_log_, dependencies_.clock, std::move(transforming));
  auto sinking = sink_options(settings_);
  sinking.tracer = dependencies_.tracer;
  sinking.metrics = {
      registry.histogram("millrace_change_freshness_seconds"), registry.histogram("millrace_sink_batch_rows"),
      registry.histogram("millrace_sink_insert_duration_seconds", {{"table", "orders_analytics"}}),
      registry.histogram("millrace_sink_insert_duration_seconds", {{"table", "rollups"}})};
  sink_ = std::make_unique<sink::Sink>(*sink_log_, *tables_, dependencies_.clock, sinking);
  purge_tables_ = std::make_unique<purge::WarehousePurgeTables>(*dependencies_.warehouse);
  purger_ = std::make_unique<purge::Purger>(*purge_tables_, dependencies_.clock, purge_options(settings_));
}

/// Once the topics are there.
void Pipeline::run(std::string stage, StageRunner::Work work, const base::StageHealth* health) {
  const auto when_topics_are_there = [this, work = std::move(work)](const base::StopSignal& stop) {
    while (!has_topics_)
      if (stop.wait_for(kTopicsPoll)) return base::Result<void>();
    return work(stop);
  };
  runners_.push_back(std::make_unique<StageRunner>(std::move(stage), when_topics_are_there, health));
}

void Pipeline::start_stages() {
  if (!has_topics_)
    runners_.push_back(std::make_unique<StageRunner>(
        "topics", [this](const base::StopSignal& stop) { return make_topics_in_time(stop); },
        &topics_health_));
  if (runs_.relay) {
    for (const auto& relay : relays_)
      run(
          relays_.size() == 1 ? "relay" : fmt::format("relay-{}", relay->shard()),
          [&relay = *relay](const base::StopSignal& stop) { return relay.run(stop); },
          &relay->stats().health);
    run("outbox-cleanup", [this](const base::StopSignal& stop) {
      cleaner_->run(stop);
      return base::Result<void>();
    });
  }
  if (runs_.transform)
    run(
        "transform", [this](const base::StopSignal& stop) { return transformer_->run(stop); },
        &transformer_->stats().health);
  if (!runs_.sink) return;
  run(
      "sink",
      [this](const base::StopSignal& stop) {
        if (runs_.control == nullptr) return run_sink(stop);
        return runs_.control->run([this](const base::StopSignal& turn) { return run_sink(turn); });
      },
      &sink_->stats().health);
  run("purge", [this](const base::StopSignal& stop) { return purger_->run(stop); });
  run("log-cleanup", [this](const base::StopSignal& stop) {
    delete_old_records(stop);
    return base::Result<void>();
  });
}

Pipeline::~Pipeline() {
  request_stop();
}

void Pipeline::request_stop() {
  stop_.request();
  for (const auto& runner : runners_) runner->request_stop();
  if (runs_.control != nullptr) runs_.control->stop();
  wake();
}

bool Pipeline::stop(base::Deadline deadline) {
  request_stop();
  bool all_ended = true;
  for (const auto& runner : runners_) {
    if (runner->wait_for_end(deadline)) continue;
    all_ended = false;
    spdlog::warn("the {} stage has not ended yet: a system that it uses does not answer",
                 runner->status().stage);
  }
  return all_ended;
}

bool Pipeline::is_flowing() const {
  if (!has_topics_) return false;
  const bool relays =
      std::ranges::all_of(relays_, [](const auto& relay) { return relay->stats().active.load(); });
  const bool sink_rests = held_ || (runs_.control != nullptr && runs_.control->rests());
  return (!runs_.relay || relays) && (!runs_.transform || transformer_->stats().partitions > 0) &&
         (!runs_.sink || sink_rests || sink_->stats().partitions > 0);
}

std::vector<StageStatus> Pipeline::stages() const {
  std::vector<StageStatus> statuses;
  for (const auto& runner : runners_) {
    StageStatus status = runner->status();
    if (!has_topics_ && status.stage != "topics" && status.state == StageState::kRunning) {
      status.state = StageState::kWaiting;
      status.reason = "waiting for the event log's topics";
    }
    // Once the topics are there, that stage is done.
    if (status.state != StageState::kEnded) statuses.push_back(std::move(status));
  }
  return statuses;
}

std::vector<LogStage> all_log_stages() {
  const transform::Options transforming;
  const sink::Options sinking;
  return {{"transform", transforming.group, transforming.input_topic},
          {"sink", sinking.group, sinking.topic}};
}

std::vector<LogStage> Pipeline::log_stages() const {
  std::vector<LogStage> stages = all_log_stages();
  std::erase_if(stages, [this](const LogStage& stage) {
    return stage.stage == "sink" ? !runs_.sink : !runs_.transform;
  });
  for (LogStage& stage : stages)
    if (stage.stage == "sink")
      stage.is_paused = [this] { return held_ || (runs_.control != nullptr && runs_.control->rests()); };
  return stages;
}

void Pipeline::wake() {
  for (const auto& relay : relays_) relay->wake();
}

std::vector<const relay::Stats*> Pipeline::relay_stats() const {
  std::vector<const relay::Stats*> stats;
  for (const auto& relay : relays_) stats.push_back(&relay->stats());
  return stats;
}

void Pipeline::hold(bool held) {
  const bool was_held = held_.exchange(held);
  purger_->rest(held);
  if (held || !was_held) return;
  for (const auto& runner : runners_) runner->retry();
}

/// Topics that are there keep their partitions; those behind order.events get as many as it has.
base::Result<void> Pipeline::make_topics() {
  const transform::Options transforming;
  const sink::Options sinking;
  // Briefly: while nobody answers, a stop waits for this call.
  auto input = log_->describe_topic(transforming.input_topic, base::Deadline::in(kStartCallTimeout));
  if (!input && input.error().kind == base::ErrorKind::kNotFound)
    input = log_->ensure_topic(transforming.input_topic,
                               static_cast<std::int32_t>(settings_.event_log_partitions), soon());
  if (!input) return std::unexpected(std::move(input).error());
  for (const std::string& topic :
       {transforming.dead_letter_topic, transforming.output_topic, sinking.dead_letter_topic})
    MILLRACE_TRY(ports::ensure_partitions(*log_, topic, input->partitions, soon()));
  return {};
}

/// As soon as the log lets us, for as long as it takes. Errors: what no wait mends.
base::Result<void> Pipeline::make_topics_in_time(const base::StopSignal& stop) {
  base::Backoff backoff(kStartPauseFirst, kStartPauseLongest);
  base::OutageLogger outage(kStartReminder, &topics_health_);
  while (!stop.requested()) {
    auto made = make_topics();
    if (made) {
      if (const auto lasted = outage.over())
        spdlog::info("the event log is there after {} s; the pipeline starts", lasted->count());
      has_topics_ = true;
      return {};
    }
    if (made.error().kind != base::ErrorKind::kUnavailable && made.error().kind != base::ErrorKind::kNotFound)
      return made;
    if (outage.should_log(made.error()))
      spdlog::warn("waiting for the event log ({} s so far): {}", outage.lasting().count(),
                   made.error().message);
    stop.wait_for(backoff.next());
  }
  return {};
}

base::Result<void> Pipeline::run_sink(const base::StopSignal& stop) {
  for (;;) {
    auto ended = sink_->run(stop);
    if (ended || !held_) return ended;
    spdlog::warn("{}; a job is running, and the sink resumes after it", ended.error().message);
    while (held_ && !stop.wait_for(kHeldPollInterval)) {
    }
    if (stop.requested()) return {};
  }
}

base::Result<std::uint64_t> Pipeline::behind(const std::string& group, const std::string& topic,
                                             base::Deadline deadline) {
  std::uint64_t records = 0;
  MILLRACE_TRY_ASSIGN(const auto info, log_->describe_topic(topic, deadline));
  for (std::int32_t partition = 0; partition < info.partitions; ++partition) {
    MILLRACE_TRY_ASSIGN(const auto range, log_->offsets({topic, partition}, deadline));
    MILLRACE_TRY_ASSIGN(const auto committed, log_->committed(group, {topic, partition}, deadline));
    records += static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, range.end - (committed ? committed->offset : 0)));
  }
  return records;
}

base::Result<Lag> Pipeline::lag(base::Deadline deadline) {
  // The outbox first: what leaves it meanwhile is then counted twice, not left out.
  MILLRACE_TRY_ASSIGN(const auto depth, outbox_depth(deadline));
  MILLRACE_TRY_ASSIGN(Lag lag, log_lag(deadline));
  lag.outbox_rows = depth.waiting;
  lag.parked = depth.parked;
  return lag;
}

base::Result<Lag> Pipeline::log_lag(base::Deadline deadline) {
  const transform::Options transforming;
  const sink::Options sinking;
  if (!has_topics_) return base::unavailable("the event log is not there yet");
  Lag lag;
  MILLRACE_TRY_ASSIGN(lag.events, behind(transforming.group, transforming.input_topic, deadline));
  MILLRACE_TRY_ASSIGN(lag.rows, behind(sinking.group, sinking.topic, deadline));
  return lag;
}

bool Pipeline::drain(base::Deadline deadline) {
  if (!has_topics_) return false;  // nothing can leave the outbox, or be asked
  if (std::ranges::any_of(stages(), [](const auto& status) { return status.state == StageState::kFailed; }))
    return false;
  // A sink that was told to rest loads nothing, however long one waits.
  const auto left = [this](const Lag& lag) {
    return lag.total() - (runs_.control != nullptr && runs_.control->rests() ? lag.rows : 0);
  };
  for (;;) {
    // Twice in a row: an event may have been on its way between two of the three counts.
    const auto first = lag(deadline);
    const auto second = first && left(*first) == 0 ? lag(deadline) : first;
    if (second && left(*second) == 0) return true;
    if (stop_.wait_for(kDrainPause) || deadline.passed()) return false;
  }
}

/// Removes events that are older than the retention, that every stage has passed, and that no window looks
/// back to.
void Pipeline::delete_old_records(const base::StopSignal& stop) {
  const transform::Options transforming;
  const sink::Options sinking;
  const auto delete_up_to = [&](const std::string& group, const std::string& topic,
                                const auto& needed_from) -> base::Result<void> {
    MILLRACE_TRY_ASSIGN(const auto info, log_->describe_topic(topic, soon()));
    for (std::int32_t partition = 0; partition < info.partitions; ++partition) {
      const ports::TopicPartition where{topic, partition};
      MILLRACE_TRY_ASSIGN(const auto committed, log_->committed(group, where, soon()));
      MILLRACE_TRY_ASSIGN(const auto range, log_->offsets(where, soon()));
      const base::UtcTime before = dependencies_.clock.now() - settings_.event_log_retention;
      // The first record that is young enough, by bisection: times in a partition only ever grow (but for
      // steps of the clock).
      std::int64_t low = range.begin;
      std::int64_t high = std::min(range.end, committed ? needed_from(*committed) : 0);
      while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        MILLRACE_TRY_ASSIGN(const auto records, log_->read(where, middle, {1, kProbeBytes}, soon()));
        if (!records.empty() && records.front().time < before) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      if (low > range.begin) MILLRACE_TRY(log_->delete_records(where, low, soon()));
    }
    return {};
  };
  do {
    if (held_) continue;
    if (auto done = delete_up_to(transforming.group, transforming.input_topic, transform::needed_from); !done)
      spdlog::warn("deleting old records of the log: {}", done.error().message);
    if (auto done = delete_up_to(sinking.group, sinking.topic, sink::needed_from); !done)
      spdlog::warn("deleting old records of the log: {}", done.error().message);
  } while (!stop.wait_for(kDeletionInterval));
}

}  // namespace millrace::app
