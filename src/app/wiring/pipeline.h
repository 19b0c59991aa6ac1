// The stages behind the outbox and the purge, each on a thread of its own, over one event log.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "app/config/settings.h"
#include "app/wiring/delivery_monitor.h"
#include "app/wiring/dependencies.h"
#include "app/wiring/event_log.h"
#include "app/wiring/instrumented_log.h"
#include "app/wiring/stage_runner.h"
#include "base/stop.h"
#include "connect/control.h"
#include "ports/log_inspector.h"
#include "purge/purge.h"
#include "relay/outbox_cleaner.h"
#include "relay/relay.h"
#include "sink/sink.h"
#include "telemetry/registry.h"
#include "transform/transformer.h"

namespace millrace::app {

/// How far the stages are behind.
struct Lag {
  std::uint64_t outbox_rows = 0;
  std::uint64_t events = 0;  ///< In order.events, not yet transformed.
  std::uint64_t rows = 0;    ///< In orders_analytics, not yet loaded.
  std::uint64_t parked = 0;
  [[nodiscard]] std::uint64_t total() const { return outbox_rows + events + rows; }
};

[[nodiscard]] sink::Options sink_options(const Settings& settings);

/// Which stages run here; the purge and the deletion of old records go with the sink.
struct Stages {
  bool relay = true;
  bool transform = true;
  bool sink = true;
  connect::Control* control = nullptr;  ///< When the sink is to run; null: always. Outlives the pipeline.
  bool rebuilds = false;                ///< The warehouse is about to be loaded anew.
};

/// What the transformer and the sink read from the event log, wherever they run.
[[nodiscard]] std::vector<LogStage> all_log_stages();

/// Starts its stages when made and ends them when stopped or destroyed. Where the log is a cluster that is
/// away, the stages begin when it is there; the outbox keeps what is accepted until then. A stage that fails
/// is tried again now and then (StageRunner): it ends neither the others nor the process.
class Pipeline {
 public:
  /// `held`: as if `hold` was called first. Errors: kInvalid (settings of the log), and of the embedded log
  /// all of its own.
  [[nodiscard]] static base::Result<std::unique_ptr<Pipeline>> start(const Settings& settings,
                                                                     Dependencies& dependencies,
                                                                     telemetry::Registry& registry,
                                                                     Stages stages = {}, bool held = false);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  void wake();
  /// Waits until everything that is committed is loaded, or the deadline; true if it is.
  /// Not while a stage has failed.
  bool drain(base::Deadline deadline);
  /// True if all stages have ended by the deadline. The destructor waits for those that have not.
  bool stop(base::Deadline deadline);

  /// Every stage has what it works on: a change that is committed now becomes visible in its usual time. Not
  /// so while other processes have all shards or partitions.
  [[nodiscard]] bool is_flowing() const;

  /// Of the stages that run here.
  [[nodiscard]] std::vector<StageStatus> stages() const;
  /// What the stages that run here read from the log.
  [[nodiscard]] std::vector<LogStage> log_stages() const;
  [[nodiscard]] bool runs_relay() const { return runs_.relay; }

  /// While a job holds the pipeline the purge rests, no row is removed from the log, and a sink that refuses
  /// to go on waits instead: a rebuild gives it tables that it can go on with. Any thread.
  void hold(bool held);

  [[nodiscard]] base::Result<Lag> lag(base::Deadline deadline);
  /// The parts of it that ask the log alone, and the order store alone.
  [[nodiscard]] base::Result<Lag> log_lag(base::Deadline deadline);
  [[nodiscard]] base::Result<ports::OutboxDepth> outbox_depth(base::Deadline deadline) {
    return dependencies_.outbox->depth(deadline);
  }
  /// Of the shards that this process serves, by number.
  [[nodiscard]] std::vector<const relay::Stats*> relay_stats() const;
  [[nodiscard]] const transform::Stats& transform_stats() const { return transformer_->stats(); }
  [[nodiscard]] const sink::Stats& sink_stats() const { return sink_->stats(); }
  [[nodiscard]] const relay::CleanerStats& cleaner_stats() const { return cleaner_->stats(); }
  [[nodiscard]] const purge::Stats& purge_stats() const { return purger_->stats(); }
  [[nodiscard]] ports::EventLog& log() { return *log_; }
  /// Null when the log is not Kafka.
  [[nodiscard]] const adapters::kafka::KafkaEventLog* kafka() const { return kafka_; }
  [[nodiscard]] ports::LogInspector& log_inspector() { return *log_inspector_; }

 private:
  Pipeline(const Settings& settings, Dependencies& dependencies)
      : settings_(settings), dependencies_(dependencies) {}
  void make_stages(telemetry::Registry& registry, bool rebuilds, const std::vector<std::int32_t>& shards);
  void start_stages();
  void request_stop();
  void run(std::string stage, StageRunner::Work work, const base::StageHealth* health = nullptr);
  [[nodiscard]] base::Result<void> make_topics();
  [[nodiscard]] base::Result<void> make_topics_in_time(const base::StopSignal& stop);
  void delete_old_records(const base::StopSignal& stop);
  [[nodiscard]] base::Result<void> run_sink(const base::StopSignal& stop);
  [[nodiscard]] base::Result<std::uint64_t> behind(const std::string& group, const std::string& topic,
                                                   base::Deadline deadline);

  const Settings settings_;
  Dependencies& dependencies_;
  std::unique_ptr<ports::EventLog> log_;
  std::unique_ptr<ports::LogInspector> log_inspector_;
  const adapters::kafka::KafkaEventLog* kafka_ = nullptr;
  std::unique_ptr<InstrumentedLog> relay_log_;  // the same log, measured for each stage
  std::unique_ptr<InstrumentedLog> transform_log_;
  std::unique_ptr<InstrumentedLog> sink_log_;
  std::unique_ptr<sink::WarehouseTables> tables_;
  std::vector<std::unique_ptr<relay::Relay>> relays_;  // one a shard
  std::unique_ptr<relay::OutboxCleaner> cleaner_;
  std::unique_ptr<transform::Transformer> transformer_;
  std::unique_ptr<sink::Sink> sink_;
  std::unique_ptr<purge::WarehousePurgeTables> purge_tables_;
  std::unique_ptr<purge::Purger> purger_;
  Stages runs_;
  std::atomic<bool> held_ = false;
  std::atomic<bool> has_topics_ = false;
  base::StopSignal stop_;
  base::StageHealth topics_health_;
  std::vector<std::unique_ptr<StageRunner>> runners_;  // destroyed first
};

}  // namespace millrace::app
