#include "telemetry/definitions.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace millrace::telemetry {
namespace {

using enum Kind;

// From a fast commit to what a person waits for, and on to an outage.
constexpr std::array kSecondsBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,  0.25,
                                       0.5,   1.0,    2.5,   5.0,  10.0,  30.0, 60.0, 300.0};
constexpr std::array kRowsBounds = {1.0, 10.0, 100.0, 1'000.0, 10'000.0, 100'000.0};

constexpr Definition kDefinitions[] = {
    {"millrace_build_info", kGauge, "version", "1; the label is the program's version."},
    {"millrace_change_freshness_seconds", kHistogram, "",
     "From an order change's commit to its being visible in the warehouse, of each row that was loaded.",
     Buckets::kSeconds},
    {"millrace_dead_letters_open", kGauge, "topic",
     "Dead letters that nobody has replayed or dropped, by source topic."},
    {"millrace_dead_letters_total", kCounter, "topic",
     "Dead letters written since the start, by source topic, repeats after a crash included."},
    {"millrace_exceptions_caught_total", kCounter, "",
     "Exceptions that a thread of the process caught instead of ending: each is a fault."},
    {"millrace_http_request_duration_seconds", kHistogram, "method,route,status",
     "From a request's last byte to its answer, by route pattern and status.", Buckets::kSeconds},
    {"millrace_kafka_broker_connected", kGauge, "broker,client",
     "1 while the client is connected to the broker."},
    {"millrace_kafka_broker_rtt_seconds", kGauge, "broker,client",
     "Round trip of requests to the broker over the last interval, 99th percentile."},
    {"millrace_kafka_queue_messages", kGauge, "",
     "Messages that wait in producers for their acknowledgement."},
    {"millrace_kafka_request_errors_total", kCounter, "broker,client",
     "Requests that failed to be sent or answered."},
    {"millrace_log_append_duration_seconds", kHistogram, "stage",
     "From the start of an append to the event log to its acknowledgement: on the embedded log with its "
     "fsync.",
     Buckets::kSeconds},
    {"millrace_log_commit_duration_seconds", kHistogram, "stage",
     "One commit of a consumer offset to the event log: on the embedded log with its fsync.",
     Buckets::kSeconds},
    {"millrace_log_fsync_duration_seconds", kHistogram, "",
     "One fsync of the embedded event log; nothing on Kafka, whose brokers sync.", Buckets::kSeconds},
    {"millrace_oldest_pending_change_seconds", kGauge, "stage",
     "Age of the oldest change that the stage has not taken yet; 0 when there is none."},
    {"millrace_oldest_invisible_change_seconds", kGauge, "",
     "Age of the oldest order change that is committed and not yet visible in the warehouse; 0 when all "
     "are."},
    {"millrace_order_writer_queue_commands", kGauge, "", "Order commands that wait for a writer."},
    {"millrace_otlp_spans_dropped_total", kCounter, "",
     "Spans that found no room, that the collector refused, or that were left at the stop."},
    {"millrace_otlp_spans_sent_total", kCounter, "", "Spans that the collector took."},
    {"millrace_outbox_cleanup_failures_total", kCounter, "", "Rounds of the outbox clean-up that failed."},
    {"millrace_outbox_parked_rows", kGauge, "",
     "Outbox rows that can never be sent, with those behind them."},
    {"millrace_outbox_rows_removed_total", kCounter, "",
     "Processed outbox rows removed after relay.retention."},
    {"millrace_purge_failures_total", kCounter, "", "Rounds of the purge that failed."},
    {"millrace_purge_orders_announced_total", kCounter, "", "Deleted orders announced for their removal."},
    {"millrace_purge_orders_removed_total", kCounter, "", "Deleted orders removed for good."},
    {"millrace_relay_active", kGauge, "", "1 while this process holds the lock of a shard of the outbox."},
    {"millrace_relay_active_shards", kGauge, "", "Shards of the outbox whose lock this process holds."},
    {"millrace_relay_events_sent_again_total", kCounter, "",
     "Events that this process had sent before without being able to mark them."},
    {"millrace_relay_events_sent_total", kCounter, "",
     "Events appended to the log and marked in the outbox."},
    {"millrace_relay_rows_parked_total", kCounter, "", "Outbox rows found that can never be sent."},
    {"millrace_relay_take_overs_total", kCounter, "", "Times that this process took over a shard."},
    {"millrace_repeats_dropped_total", kCounter, "stage",
     "Records dropped because they had come before, by stage."},
    {"millrace_sink_batch_rows", kHistogram, "", "Rows of the batches written to the warehouse.",
     Buckets::kRows},
    {"millrace_sink_batches_total", kCounter, "", "Batches written to the warehouse."},
    {"millrace_sink_freshness_seconds", kGauge, "",
     "Commit to visible, of the oldest row of the last batch; says nothing while no batch comes."},
    {"millrace_sink_insert_duration_seconds", kHistogram, "table",
     "One insert into a table of the warehouse.", Buckets::kSeconds},
    {"millrace_sink_keys_read_total", kCounter, "",
     "Cumulative aggregates read because they were not in memory."},
    {"millrace_sink_purged_rows_left_out_total", kCounter, "",
     "Rows of purged orders that were not written to the base table."},
    {"millrace_sink_restarts_total", kCounter, "",
     "Times that the sink went back to its position, after an error."},
    {"millrace_sink_rows_loaded_total", kCounter, "", "Rows loaded into the warehouse."},
    {"millrace_stage_lag_records", kGauge, "stage",
     "Records not yet taken, by stage: outbox rows, events, analytics rows."},
    {"millrace_stage_restarts_total", kCounter, "stage", "Restarts of a stage that had failed."},
    {"millrace_stage_state", kGauge, "stage,state",
     "1 for the state that the stage is in: running, waiting or failed."},
    {"millrace_transform_former_owner_dropped_total", kCounter, "", "Records of a former relay dropped."},
    {"millrace_transform_rows_written_total", kCounter, "", "Rows appended to orders_analytics."},
    {"millrace_verify_differences", kGauge, "",
     "Rows that differed in the last verification that was carried out."},
    {"millrace_verify_last_duration_seconds", kGauge, "", "How long the last verification took."},
    {"millrace_verify_last_run_timestamp_seconds", kGauge, "",
     "End of the last verification, whatever came out."},
    {"millrace_verify_last_success_timestamp_seconds", kGauge, "",
     "End of the last verification that was carried out."},
    {"millrace_verify_runs_total", kCounter, "result", "Scheduled verifications, by result."},
};

}  // namespace

std::span<const Definition> definitions() {
  return kDefinitions;
}

const Definition& definition_of(std::string_view name) {
  const auto found = std::ranges::find(kDefinitions, name, &Definition::name);
  MILLRACE_ASSERT(found != std::end(kDefinitions));
  return *found;
}

std::span<const double> bounds_of(Buckets buckets) {
  switch (buckets) {
    case Buckets::kSeconds:
      return kSecondsBounds;
    case Buckets::kRows:
      return kRowsBounds;
    case Buckets::kNone:
      break;
  }
  return {};
}

}  // namespace millrace::telemetry
