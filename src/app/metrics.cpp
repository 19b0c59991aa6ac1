#include "app/metrics.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace millrace::app {
namespace {

using ports::MetricFamily;
using ports::MetricKind;
using ports::MetricSample;

// Of the order store's and the log's answers to one scrape, each.
constexpr std::chrono::milliseconds kAskTimeout{1'000};

class Collection {
 public:
  void count(std::string name, std::string help, double value) {
    all_.push_back({"millrace_" + std::move(name), std::move(help), MetricKind::kCounter, {{value, {}}}});
  }
  void gauge(std::string name, std::string help, double value) {
    all_.push_back({"millrace_" + std::move(name), std::move(help), MetricKind::kGauge, {{value, {}}}});
  }
  void family(std::string name, std::string help, MetricKind kind, std::vector<MetricSample> samples) {
    all_.push_back({"millrace_" + std::move(name), std::move(help), kind, std::move(samples)});
  }
  std::vector<MetricFamily> take() { return std::move(all_); }

 private:
  std::vector<MetricFamily> all_;
};

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

void add_stages(Collection& all, const Pipeline& pipeline) {
  const auto relays = pipeline.relay_stats();
  const auto sum_of = [&](auto member) {
    double sum = 0;
    for (const relay::Stats* relay : relays) sum += number(relay->*member);
    return sum;
  };
  const auto active =
      std::ranges::count_if(relays, [](const relay::Stats* relay) { return relay->active.load(); });
  const transform::Stats& transform = pipeline.transform_stats();
  const sink::Stats& sink = pipeline.sink_stats();
  const purge::Stats& purge = pipeline.purge_stats();
  all.gauge("relay_active", "1 while this process holds the lock of a shard of the outbox.",
            active > 0 ? 1 : 0);
  all.gauge("relay_active_shards", "Shards of the outbox whose lock this process holds.", number(active));
  all.count("relay_take_overs_total", "Times that this process took a shard over.",
            sum_of(&relay::Stats::take_overs));
  all.count("relay_events_sent_again_total",
            "Events that this process had sent before without being able to mark them.",
            sum_of(&relay::Stats::events_sent_again));
  all.count("relay_events_sent_total", "Events appended to the log and marked in the outbox.",
            sum_of(&relay::Stats::events_sent));
  all.count("relay_rows_parked_total", "Outbox rows found that can never be sent.",
            sum_of(&relay::Stats::rows_parked));
  all.count("transform_rows_written_total", "Rows appended to orders_analytics.",
            number(transform.rows_written));
  all.count("sink_rows_loaded_total", "Rows loaded into the warehouse.", number(sink.rows_loaded));
  all.count("sink_batches_total", "Batches written to the warehouse.", number(sink.batches));
  all.count("sink_keys_read_total", "Running sums read because they were not in memory.",
            number(sink.keys_read));
  all.count("sink_restarts_total", "Times that the sink went back to its position, after an error.",
            number(sink.restarts));
  all.count("sink_purged_rows_left_out_total", "Rows of purged orders kept out of the base table.",
            number(sink.purged_rows_left_out));
  all.gauge("sink_freshness_seconds", "Commit to visible, of the oldest row of the last batch.",
            seconds(std::chrono::milliseconds(sink.last_freshness_ms.load())));
  all.family("repeats_dropped_total", "Records dropped because they had come before, by stage.",
             MetricKind::kCounter,
             {{number(transform.repeats_dropped), {{"stage", "transform"}}},
              {number(sink.repeats_dropped), {{"stage", "sink"}}}});
  all.count("transform_former_owner_dropped_total", "Records of a former relay dropped.",
            number(transform.former_owner_dropped));
  all.family("dead_letters_total", "Dead letters written since the start, by source topic.",
             MetricKind::kCounter,
             {{number(transform.dead_letters), {{"topic", transform::Options().input_topic}}},
              {number(sink.dead_letters), {{"topic", sink::Options().topic}}}});
  all.count("purge_orders_announced_total", "Deleted orders announced for their removal.",
            number(purge.announced));
  all.count("purge_orders_removed_total", "Deleted orders removed for good.", number(purge.purged));
  all.count("purge_failures_total", "Rounds of the purge that failed.", number(purge.failures));
}

void add_lag(Collection& all, Pipeline& pipeline) {
  std::vector<MetricSample> lag;
  std::vector<MetricSample> parked;
  if (const auto depth = pipeline.outbox_depth(base::Deadline::in(kAskTimeout))) {
    lag.push_back({number(depth->waiting), {{"stage", "relay"}}});
    parked.push_back({number(depth->parked), {}});
  }
  if (const auto records = pipeline.log_lag(base::Deadline::in(kAskTimeout))) {
    lag.push_back({number(records->events), {{"stage", "transform"}}});
    lag.push_back({number(records->rows), {{"stage", "sink"}}});
  }
  all.family("stage_lag_records", "Records not yet taken, by stage: outbox rows, events, analytics rows.",
             MetricKind::kGauge, std::move(lag));
  all.family("outbox_parked_rows", "Outbox rows that can never be sent, with those behind them.",
             MetricKind::kGauge, std::move(parked));
}

void add_open_letters(Collection& all, letters::Letters& letters) {
  std::vector<MetricSample> samples;
  if (const auto open = letters.open_counts(base::Deadline::in(kAskTimeout)))
    for (const auto& [topic, count] : *open) samples.push_back({number(count), {{"topic", topic}}});
  all.family("dead_letters_open", "Dead letters that nobody has replayed or dropped, by source topic.",
             MetricKind::kGauge, std::move(samples));
}

void add_verify(Collection& all, const VerifyState& verify) {
  all.family("verify_runs_total", "Scheduled verifications, by result.", MetricKind::kCounter,
             {{number(verify.runs_clean), {{"result", "clean"}}},
              {number(verify.runs_with_differences), {{"result", "differences"}}},
              {number(verify.runs_failed), {{"result", "failed"}}}});
  if (verify.last_run) {
    all.gauge("verify_last_run_timestamp_seconds", "End of the last verification, whatever came out.",
              seconds_since_1970(*verify.last_run));
    all.gauge("verify_last_duration_seconds", "How long the last verification took.",
              seconds(verify.last_duration));
  }
  if (verify.last_success) {
    all.gauge("verify_last_success_timestamp_seconds", "End of the last verification that was carried out.",
              seconds_since_1970(*verify.last_success));
    all.gauge("verify_differences", "Rows that differed in the last verification that was carried out.",
              number(verify.differences));
  }
}

}  // namespace

std::vector<MetricFamily> Metrics::collect() {
  Collection all;
  all.family("build_info", "The program's version.", MetricKind::kGauge,
             {{1, {{"version", MILLRACE_VERSION}}}});
  add_stages(all, pipeline_);
  add_lag(all, pipeline_);
  add_open_letters(all, letters_);
  add_verify(all, verify_.state());
  return all.take();
}

}  // namespace millrace::app
