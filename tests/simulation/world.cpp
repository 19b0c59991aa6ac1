#include "simulation/world.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "relay/outbox_cleaner.h"
#include "relay/relay.h"
#include "sink/sink.h"
#include "support/order_history.h"
#include "transform/transformer.h"

namespace millrace::simulation {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using test::History;

enum Kind { kRelay, kTransformer, kSink, kCleaner, kKinds };

constexpr std::size_t kEvents = 50;
constexpr std::size_t kFreshOrders = 4;
constexpr std::size_t kHistories = 64;
constexpr int kProcessesMax = 3;  // of one kind, zombies included
constexpr microseconds kPatience = minutes(30);
constexpr const char* kOrders = "order.events";
constexpr const char* kRows = "orders_analytics";

/// A history with its events as the outbox keeps them. Making one costs as much as running it, so some are
/// shared by many seeds, which differ in everything else.
struct Prepared {
  struct Row {
    std::string order;
    std::string type;
    std::string payload;
  };
  explicit Prepared(std::uint64_t seed) : history(seed, kEvents + kFreshOrders) {
    for (const domain::OrderEvent& event : history.events)
      rows.push_back({event.image().order_id.value(), std::string(domain::to_string(event.type)),
                      domain::to_json(event)});
  }
  History history;
  std::vector<Row> rows;
};

const Prepared& prepared(std::uint64_t seed) {
  static std::map<std::uint64_t, Prepared> all;
  return all.try_emplace(seed % kHistories, seed % kHistories).first->second;
}

class World {
 public:
  explicit World(const Settings& settings)
      : settings_(settings),
        random_(settings.seed),
        scheduler_(random_.next()),
        calls_(scheduler_, Random(random_.next()), fault_plan()),
        clock_(scheduler_),
        outbox_(calls_),
        log_(calls_),
        tables_(calls_, clock_),
        prepared_(prepared(settings.seed)),
        partitions_(static_cast<std::int32_t>(2 + random_.below(2))) {
    calls_.on_crash = [this](Process& process) { replace_crashed(process); };
    calls_.on_pause = [this](Process& process) { paused(process); };
    if (settings.nth_step != 0)
      scheduler_.before_step = [this](std::uint64_t step, Process& process) { strike(step, process); };
    draw_options();
  }

  Outcome run() {
    log_.make_topic(kOrders, partitions_);
    log_.make_topic(kRows, partitions_);
    for (int kind = 0; kind < kKinds; ++kind) spawn(kind);
    write_script();
    const auto give_up = scheduler_.now() + kPatience;
    bool quiet = false;
    auto look_at = scheduler_.now();
    while (failure_.empty() && !quiet) {
      if (!scheduler_.step()) {
        failure_ = "nothing will ever happen again, but not all is done";
        break;
      }
      if (scheduler_.now() < look_at) continue;
      look_at = scheduler_.now() + milliseconds(100);
      quiet = is_quiet();
      if (!quiet && scheduler_.now() > give_up) failure_ = "not quiet in time: " + state();
    }
    Outcome outcome;
    outcome.steps = scheduler_.steps();
    outcome.schedule = scheduler_.schedule_hash();
    if (failure_.empty()) compare();
    if (!failure_.empty() && spdlog::should_log(spdlog::level::debug)) log_.print(kOrders), log_.print(kRows);
    while (!living_.empty()) scheduler_.kill(*living_.back()), std::erase(living_, living_.back());
    outcome.failure = failure_;
    outcome.counts = calls_.counts;
    outcome.events = prepared_.rows.size();
    for (const auto faults : outcome.counts.faults) outcome.struck += faults;
    outcome.struck += outcome.counts.incidents;
    return outcome;
  }

 private:
  FaultPlan fault_plan() {
    FaultPlan plan;
    const std::uint64_t kinds = random_.next();
    const std::uint64_t rate = random_.below(5);
    const std::uint64_t first_by = 1 + random_.below(300);
    if (settings_.calm) {
      plan.nth = settings_.nth_call == 0 ? ~std::uint64_t{0} : settings_.nth_call;
      plan.nth_fault = settings_.fault;
      return plan;
    }
    constexpr std::array<std::uint64_t, 5> kOneIn = {0, 100, 40, 15, 6};
    plan.one_in = kOneIn[rate];
    plan.kinds = kinds;
    // In one run of four, one call goes wrong most of the time.
    constexpr std::array<std::string_view, 28> kBadCalls = {
        "append", "append", "mark_processed", "commit", "insert_base", "insert_rollups", "write_positions"};
    plan.bad_call = kBadCalls[random_.below(kBadCalls.size())];
    plan.first_by = first_by;
    return plan;
  }

  void draw_options() {
    relay_.partitions = partitions_;
    relay_.batch_rows_max = 2 + random_.below(5);
    relay_.poll_interval_min = milliseconds(2);
    relay_.poll_interval_max = milliseconds(1'000);
    cleaner_.retention = milliseconds(0);
    cleaner_.interval = milliseconds(100 + random_.below(2'000));
    cleaner_.rows_max = 1 + random_.below(10);
    transformer_.idle_wait = sink_.idle_wait = milliseconds(2'000);
    // Of the rows that a relay may send again, all may lie in one partition; twice as many is what the model
    // asks for.
    transformer_.window_events = relay_.batch_rows_max * (2 + random_.below(3));
    transformer_.batch_records_max = 1 + random_.below(8);
    transformer_.commit_interval = milliseconds(random_.one_in(2) ? 0 : 200);
    sink_.batch_rows_max = 2 + random_.below(12);
    sink_.max_delay = milliseconds(random_.below(3) * 20);
    sink_.position_interval = milliseconds(random_.one_in(2) ? 0 : 200);
    sink_.cached_keys_max = 10 + random_.below(60);
  }

  // --- processes

  void spawn(int kind) {
    std::function<void()> work;
    switch (kind) {
      case kRelay:
        work = [this] { run_relay(); };
        break;
      case kTransformer:
        work = [this] { run_transformer(); };
        break;
      case kCleaner:
        work = [this] { run_cleaner(); };
        break;
      default:
        work = [this] { run_sink(); };
    }
    living_.push_back(&scheduler_.spawn(kind, std::move(work)));
  }

  [[nodiscard]] int living(int kind) const {
    return static_cast<int>(
        std::ranges::count_if(living_, [&](const Process* process) { return process->kind == kind; }));
  }

  void run_relay() {
    relay::Relay stage(outbox_, log_, clock_, relay_);
    struct Entry {
      World& world;
      relay::Relay* stage;
      ~Entry() { std::erase(world.relays_, stage); }
    };
    relays_.push_back(&stage);
    const Entry entry{*this, &stage};
    ended("relay", stage.run(never_));
  }
  void run_cleaner() {
    relay::OutboxCleaner cleaner(outbox_, clock_, cleaner_);
    cleaner.run(never_);
    failure_ = "the clean-up of the outbox ended";
  }
  void run_transformer() {
    transform::Transformer stage(log_, clock_, transformer_);
    struct Sum {
      Counts& counts;
      const transform::Stats& stats;
      ~Sum() {
        counts.former_relay_dropped += stats.former_owner_dropped;
        counts.repeats_of_relay += stats.repeats_dropped;
      }
    };
    const Sum sum{calls_.counts, stage.stats()};
    ended("transformer", stage.run(never_));
  }
  void run_sink() {
    sink::Sink stage(log_, tables_, clock_, sink_);
    struct Sum {
      Counts& counts;
      const sink::Stats& stats;
      ~Sum() {
        counts.repeats_of_transformer += stats.repeats_dropped;
        counts.sums_read += stats.keys_read;
      }
    };
    const Sum sum{calls_.counts, stage.stats()};
    ended("sink", stage.run(never_));
  }
  void ended(const char* stage, const base::Result<void>& outcome) {
    failure_ = fmt::format("the {} ended: {}", stage, outcome ? "without a reason" : outcome.error().message);
  }

  void replace_crashed(Process& process) {
    std::erase(living_, &process);
    const int kind = process.kind;
    scheduler_.after(random_.up_to(milliseconds(1'500)), [this, kind] {
      if (living(kind) < kProcessesMax) spawn(kind);
    });
  }

  /// Meanwhile somebody else takes over, or nobody does.
  void paused(Process& process) {
    constexpr std::array<milliseconds, 3> kSpans = {milliseconds(300), milliseconds(15'000),
                                                    milliseconds(120'000)};
    scheduler_.after(random_.up_to(kSpans[random_.below(kSpans.size())]),
                     [this, &process] { scheduler_.go_on(process); });
    if (settings_.calm || !random_.one_in(4)) take_over(process.kind);
  }

  void take_over(int kind) {
    if (living(kind) < kProcessesMax)
      scheduler_.after(random_.up_to(milliseconds(300)), [this, kind] { spawn(kind); });
    scheduler_.after(random_.up_to(milliseconds(2'000)), [this, kind] { take_away(kind); });
  }

  void take_away(int kind) {
    switch (kind) {
      case kRelay:
        outbox_.break_lock();
        break;
      case kTransformer:
        log_.expire_owner(transformer_.group, kOrders);
        break;
      case kCleaner:  // holds nothing
        break;
      default:
        log_.expire_owner(sink_.group, kRows);
    }
  }

  void strike(std::uint64_t step, Process& process) {
    if (step != settings_.nth_step) return;
    ++calls_.counts.incidents;
    if (settings_.step_fault == StepFault::kCrash) {
      replace_crashed(process);
      scheduler_.kill(process);
    } else {
      paused(process);
      scheduler_.pause(process);
    }
  }

  // --- script

  void write_script() {
    const microseconds active = seconds(1) + random_.up_to(seconds(random_.one_in(2) ? 3 : 30));
    // The last orders are fresh ones, made when all faults are over; nothing is known of them before.
    const std::size_t before = prepared_.rows.size() - kFreshOrders;
    std::vector<microseconds> times;
    while (times.size() < before) {
      const microseconds moment = random_.up_to(active);
      for (auto burst = 1 + random_.below(12); burst > 0 && times.size() < before; --burst)
        times.push_back(moment);
    }
    std::ranges::sort(times);
    for (const microseconds moment : times) scheduler_.after(moment, [this] { add_row(); });
    if (!settings_.calm)
      for (auto incidents = random_.below(4); incidents > 0; --incidents)
        scheduler_.after(random_.up_to(active), [this] { incident(); });
    scheduler_.after(active + random_.up_to(seconds(5)), [this] { calls_.calm(); });
  }

  void add_row() {
    const Prepared::Row& row = prepared_.rows[added_++];
    outbox_.add(row.order, row.type, row.payload);
    if (random_.one_in(2))
      for (relay::Relay* relay : relays_) relay->wake();
  }

  void incident() {
    ++calls_.counts.incidents;
    const int kind = static_cast<int>(random_.below(kKinds));
    std::vector<Process*> candidates;
    for (Process* process : living_)
      if (process->kind == kind && !process->paused) candidates.push_back(process);
    Process* const process = candidates.empty() ? nullptr : candidates[random_.below(candidates.size())];
    switch (random_.below(5)) {
      case 0:
        if (process == nullptr) break;
        replace_crashed(*process);
        scheduler_.kill(*process);
        break;
      case 1:
        if (process == nullptr) break;
        scheduler_.pause(*process);
        paused(*process);
        break;
      case 2:
        take_over(kind);
        break;
      case 3:
        take_away(kind);
        break;
      default:
        clock_.step(random_.one_in(2) ? milliseconds(3'600'000) : milliseconds(-3'600'000));
    }
  }

  // --- end

  [[nodiscard]] static std::string source(std::int32_t partition) {
    return sink::source_name({}, topic_id_of(kRows), partition);
  }

  [[nodiscard]] bool done_so_far() const {
    if (outbox_.waiting() != 0 || outbox_.rows() != 0) return false;
    for (std::int32_t partition = 0; partition < partitions_; ++partition) {
      if (log_.committed_offset(transformer_.group, {kOrders, partition}) != log_.end({kOrders, partition}))
        return false;
      if (static_cast<std::int64_t>(tables_.position_of(source(partition))) != log_.end({kRows, partition}))
        return false;
    }
    return true;
  }

  bool is_quiet() {
    if (!calls_.is_calm() || calls_.late_work() || added_ < prepared_.rows.size() - kFreshOrders)
      return false;
    if (std::ranges::any_of(living_, [](const Process* process) { return process->paused; })) return false;
    if (!done_so_far()) return false;
    if (added_ == prepared_.rows.size()) return true;
    // A fresh order after the last fault, one at a time.
    add_row();
    return false;
  }

  [[nodiscard]] std::string state() const {
    std::string text = fmt::format("{} of {} rows added, {} waiting, {} in the outbox", added_,
                                   prepared_.rows.size(), outbox_.waiting(), outbox_.rows());
    for (std::int32_t partition = 0; partition < partitions_; ++partition)
      text += fmt::format("; partition {}: {} events, {} transformed, {} rows, {} loaded", partition,
                          log_.end({kOrders, partition}),
                          log_.committed_offset(transformer_.group, {kOrders, partition}),
                          log_.end({kRows, partition}), tables_.position_of(source(partition)));
    return text;
  }

  void compare() {
    const History& history = prepared_.history;
    if (tables_.clash()) failure_ = "two different sums were written for one key and offset";
    if (!outbox_.parked().empty()) failure_ = "outbox rows were parked";
    for (const std::string& topic : {transformer_.dead_letter_topic, sink_.dead_letter_topic})
      for (std::int32_t partition = 0; partition < partitions_; ++partition)
        if (log_.end({topic, partition}) != 0) failure_ = "there are dead letters in " + topic;
    const auto sums = tables_.sums();
    for (const auto& [key, sum] : history.sums)
      if (const auto found = sums.find(key); found == sums.end() || !(found->second == sum))
        failure_ = fmt::format("the sum of {} is {} orders, {} sales, {} pieces, {}; right is {}, {}, {}, {}",
                               key, found == sums.end() ? 0 : found->second.order_count,
                               found == sums.end() ? 0 : found->second.sale_count,
                               found == sums.end() ? 0 : found->second.quantity,
                               found == sums.end() ? "nothing" : found->second.amount.text4(),
                               sum.order_count, sum.sale_count, sum.quantity, sum.amount.text4());
    for (const auto& [key, sum] : sums)
      if (!history.sums.contains(key))
        failure_ = fmt::format("the sum of {} is {} orders, {} sales, {} pieces, {}, and nothing adds to it",
                               key, sum.order_count, sum.sale_count, sum.quantity, sum.amount.text4());
    const auto orders = tables_.orders();
    if (orders.size() != history.orders.size())
      failure_ = fmt::format("the base table has {} orders of {}", orders.size(), history.orders.size());
    for (const auto& [id, truth] : history.orders) {
      const auto found = orders.find(id);
      if (found == orders.end() || found->second.version != truth.version ||
          found->second.is_deleted != truth.deleted || found->second.image.status != truth.image.status ||
          found->second.image.total_amount != truth.image.total_amount)
        failure_ = fmt::format("the base table does not have the last version of {}", id);
    }
  }

  const Settings settings_;
  Random random_;
  Scheduler scheduler_;
  Calls calls_;
  SimulatedClock clock_;
  SimulatedOutbox outbox_;
  SimulatedLog log_;
  SimulatedTables tables_;
  const Prepared& prepared_;
  const std::int32_t partitions_;
  relay::Options relay_;
  relay::CleanerOptions cleaner_;
  transform::Options transformer_;
  sink::Options sink_;
  const base::StopSignal never_;
  std::vector<Process*> living_;
  std::vector<relay::Relay*> relays_;
  std::size_t added_ = 0;
  std::string failure_;
};

}  // namespace

Outcome simulate(const Settings& settings) {
  return World(settings).run();
}

}  // namespace millrace::simulation
