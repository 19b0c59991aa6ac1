#include "app/wiring/metrics.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "base/exceptions.h"

namespace millrace::app {
namespace {

using telemetry::Samples;

// Of the order store's and the log's answers to one scrape, each.
constexpr std::chrono::milliseconds kAskTimeout{1'000};

template <class Number>
double number(const Number& value) {
  return static_cast<double>(value);
}
double number(const std::atomic<std::uint64_t>& value) {
  return static_cast<double>(value.load());
}
double seconds(std::chrono::milliseconds span) {
  return static_cast<double>(span.count()) / 1'000.0;
}
double seconds_since_1970(base::UtcTime time) {
  return static_cast<double>(base::to_ms(time)) / 1'000.0;
}

/// Several clients of a process may have one name: they are taken together, as producers and consumers.
void add_kafka(Samples& all, const adapters::kafka::KafkaEventLog& kafka) {
  struct Broker {
    bool is_up = false;
    std::int64_t round_trip_us = 0;
    std::uint64_t errors = 0;
  };
  std::map<std::pair<std::string, std::int32_t>, Broker> brokers;
  std::int64_t queued = 0;
  for (const auto& client : kafka.statistics()) {
    queued += client.messages_queued;
    for (const auto& broker : client.brokers) {
      Broker& sum = brokers[{client.type, broker.id}];
      sum.is_up = sum.is_up || broker.is_up;
      sum.round_trip_us = std::max(sum.round_trip_us, broker.round_trip_us_p99);
      sum.errors += broker.send_errors + broker.receive_errors + broker.timeouts;
    }
  }
  all.push_back({"millrace_kafka_queue_messages", number(queued)});
  for (const auto& [key, broker] : brokers) {
    const telemetry::Labels labels = {{"broker", std::to_string(key.second)}, {"client", key.first}};
    all.push_back({"millrace_kafka_broker_connected", broker.is_up ? 1.0 : 0.0, labels});
    all.push_back({"millrace_kafka_broker_rtt_seconds", number(broker.round_trip_us) / 1e6, labels});
    all.push_back({"millrace_kafka_request_errors_total", number(broker.errors), labels});
  }
}

void add_relay(Samples& all, const Pipeline& pipeline) {
  const auto relays = pipeline.relay_stats();
  const auto sum_of = [&](auto member) {
    double sum = 0;
    for (const relay::Stats* relay : relays) sum += number(relay->*member);
    return sum;
  };
  const auto active =
      std::ranges::count_if(relays, [](const relay::Stats* relay) { return relay->active.load(); });
  const relay::CleanerStats& cleaner = pipeline.cleaner_stats();
  all.insert(all.end(), {{"millrace_relay_active", active > 0 ? 1.0 : 0.0},
                         {"millrace_relay_active_shards", number(active)},
                         {"millrace_relay_take_overs_total", sum_of(&relay::Stats::take_overs)},
                         {"millrace_relay_events_sent_again_total", sum_of(&relay::Stats::events_sent_again)},
                         {"millrace_relay_events_sent_total", sum_of(&relay::Stats::events_sent)},
                         {"millrace_relay_rows_parked_total", sum_of(&relay::Stats::rows_parked)},
                         {"millrace_outbox_rows_removed_total", number(cleaner.rows_removed)},
                         {"millrace_outbox_cleanup_failures_total", number(cleaner.failures)}});
}

void add_transform(Samples& all, const transform::Stats& transform) {
  all.insert(all.end(),
             {{"millrace_transform_rows_written_total", number(transform.rows_written)},
              {"millrace_transform_former_owner_dropped_total", number(transform.former_owner_dropped)},
              {"millrace_repeats_dropped_total", number(transform.repeats_dropped), {{"stage", "transform"}}},
              {"millrace_dead_letters_total",
               number(transform.dead_letters),
               {{"topic", transform::Options().input_topic}}}});
}

void add_sink(Samples& all, const sink::Stats& sink, const purge::Stats& purge) {
  all.insert(
      all.end(),
      {{"millrace_sink_rows_loaded_total", number(sink.rows_loaded)},
       {"millrace_sink_batches_total", number(sink.batches)},
       {"millrace_sink_keys_read_total", number(sink.keys_read)},
       {"millrace_sink_restarts_total", number(sink.restarts)},
       {"millrace_sink_purged_rows_left_out_total", number(sink.purged_rows_skipped)},
       {"millrace_sink_freshness_seconds", seconds(std::chrono::milliseconds(sink.last_freshness_ms.load()))},
       {"millrace_repeats_dropped_total", number(sink.repeats_dropped), {{"stage", "sink"}}},
       {"millrace_dead_letters_total", number(sink.dead_letters), {{"topic", sink::Options().topic}}},
       {"millrace_purge_orders_announced_total", number(purge.announced)},
       {"millrace_purge_orders_removed_total", number(purge.purged)},
       {"millrace_purge_failures_total", number(purge.failures)}});
}

void add_stage_states(Samples& all, const Pipeline& pipeline) {
  for (const StageStatus& status : pipeline.stages()) {
    for (const StageState state : {StageState::kRunning, StageState::kWaiting, StageState::kFailed})
      all.push_back({"millrace_stage_state",
                     status.state == state ? 1.0 : 0.0,
                     {{"stage", status.stage}, {"state", std::string(to_string(state))}}});
    all.push_back({"millrace_stage_restarts_total", number(status.restarts), {{"stage", status.stage}}});
  }
}

void add_lag(Samples& all, Pipeline& pipeline, const Stages& stages) {
  const auto lag_of = [&](std::string stage, std::uint64_t records) {
    all.push_back({"millrace_stage_lag_records", number(records), {{"stage", std::move(stage)}}});
  };
  if (stages.relay) {
    if (const auto depth = pipeline.outbox_depth(base::Deadline::in(kAskTimeout))) {
      lag_of("relay", depth->waiting);
      all.push_back({"millrace_outbox_parked_rows", number(depth->parked)});
    }
  }
  if (!stages.transform && !stages.sink) return;
  if (const auto records = pipeline.log_lag(base::Deadline::in(kAskTimeout))) {
    if (stages.transform) lag_of("transform", records->events);
    if (stages.sink) lag_of("sink", records->rows);
  }
}

}  // namespace

void add_process_metrics(telemetry::Registry& registry) {
  registry.add_collector([] {
    return Samples{{"millrace_build_info", 1, {{"version", MILLRACE_VERSION}}},
                   {"millrace_exceptions_caught_total", number(base::exceptions_caught())}};
  });
}

void add_pipeline_metrics(telemetry::Registry& registry, Pipeline& pipeline, const Stages& stages) {
  registry.add_collector([&pipeline, stages] {
    Samples all;
    if (stages.relay) add_relay(all, pipeline);
    if (stages.transform) add_transform(all, pipeline.transform_stats());
    if (stages.sink) add_sink(all, pipeline.sink_stats(), pipeline.purge_stats());
    if (pipeline.kafka() != nullptr) add_kafka(all, *pipeline.kafka());
    add_stage_states(all, pipeline);
    add_lag(all, pipeline, stages);
    return all;
  });
}

void add_delivery_metrics(telemetry::Registry& registry, const DeliveryMonitor& delivery) {
  registry.add_collector([&delivery] {
    Samples all;
    const Delivery state = delivery.state();
    for (const auto& [stage, age] : state.pending)
      all.push_back({"millrace_oldest_pending_change_seconds", seconds(age), {{"stage", stage}}});
    if (const auto oldest = state.oldest())
      all.push_back({"millrace_oldest_invisible_change_seconds", seconds(*oldest)});
    return all;
  });
}

void add_dead_letter_metrics(telemetry::Registry& registry, dead_letters::DeadLetters& letters) {
  registry.add_collector([&letters] {
    Samples all;
    if (const auto open = letters.open_counts(base::Deadline::in(kAskTimeout)))
      for (const auto& [topic, count] : *open)
        all.push_back({"millrace_dead_letters_open", number(count), {{"topic", topic}}});
    return all;
  });
}

void add_verify_metrics(telemetry::Registry& registry, const VerifySchedule& schedule) {
  registry.add_collector([&schedule] {
    const VerifyState verify = schedule.state();
    Samples all = {
        {"millrace_verify_runs_total", number(verify.runs_clean), {{"result", "clean"}}},
        {"millrace_verify_runs_total", number(verify.runs_with_differences), {{"result", "differences"}}},
        {"millrace_verify_runs_total", number(verify.runs_failed), {{"result", "failed"}}}};
    if (verify.last_run) {
      all.push_back({"millrace_verify_last_run_timestamp_seconds", seconds_since_1970(*verify.last_run)});
      all.push_back({"millrace_verify_last_duration_seconds", seconds(verify.last_duration)});
    }
    if (verify.last_success) {
      all.push_back(
          {"millrace_verify_last_success_timestamp_seconds", seconds_since_1970(*verify.last_success)});
      all.push_back({"millrace_verify_differences", number(verify.differences)});
    }
    return all;
  });
}

void add_operations_metrics(telemetry::Registry& registry, Operations& operations) {
  add_dead_letter_metrics(registry, operations.letters());
  if (operations.verify() != nullptr) add_verify_metrics(registry, *operations.verify());
}

}  // namespace millrace::app
