#include "app/wiring/delivery_monitor.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/thread_name.h"

namespace millrace::app {
namespace {

// Clocks of two machines, and the milliseconds in which a server keeps a time, make one moment look like two.
constexpr std::chrono::milliseconds kSameMoment{100};

}  // namespace

std::optional<std::chrono::milliseconds> Delivery::oldest() const {
  if (pending.empty()) return std::nullopt;
  return std::ranges::max_element(pending, {}, [](const auto& entry) { return entry.second; })->second;
}

DeliveryMonitor::DeliveryMonitor(ports::Outbox* outbox, ports::EventLog* log, std::vector<LogStage> stages,
                                 const ports::Clock& clock, DeliveryOptions options)
    : outbox_(outbox), log_(log), stages_(std::move(stages)), clock_(clock), options_(options) {
  thread_ = std::thread([this] { run(); });
}

DeliveryMonitor::~DeliveryMonitor() {
  stop_.request();
  thread_.join();
}

Delivery DeliveryMonitor::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void DeliveryMonitor::run() {
  base::name_this_thread("delivery");
  std::string stalled;
  do {
    Delivery delivery = look();
    if (delivery.stalled_stage != stalled) {
      if (delivery.stalled_stage.empty())
        spdlog::info("delivery: changes are becoming visible again");
      else
        spdlog::error("delivery: {}", delivery.reason);
      stalled = delivery.stalled_stage;
    }
    const std::lock_guard lock(mutex_);
    state_ = std::move(delivery);
  } while (!stop_.wait_for(options_.poll_interval));
}

Delivery DeliveryMonitor::look() {
  Delivery delivery;
  if (outbox_ != nullptr) {
    if (const auto depth = outbox_->depth(base::Deadline::in(options_.call_timeout)))
      note(delivery, "relay",
           depth->waiting > 0 ? std::optional(clock_.now() - depth->oldest_age) : std::nullopt, false);
  }
  if (log_ == nullptr) return delivery;
  for (const LogStage& stage : stages_) {
    // What does not answer is reported where the systems behind the process are.
    if (const auto oldest = oldest_in_log(stage))
      note(delivery, stage.stage, *oldest, stage.is_paused && stage.is_paused());
  }
  return delivery;
}

base::Result<std::optional<base::UtcTime>> DeliveryMonitor::oldest_in_log(const LogStage& stage) {
  const auto deadline = base::Deadline::in(options_.call_timeout);
  std::optional<base::UtcTime> oldest;
  MILLRACE_TRY_ASSIGN(const auto info, log_->describe_topic(stage.topic, deadline));
  for (std::int32_t number = 0; number < info.partitions; ++number) {
    const ports::TopicPartition partition{stage.topic, number};
    MILLRACE_TRY_ASSIGN(const auto committed, log_->committed(stage.group, partition, deadline));
    MILLRACE_TRY_ASSIGN(const auto range, log_->offsets(partition, deadline));
    const std::int64_t next = std::max(range.begin, committed ? committed->offset : 0);
    if (next >= range.end) continue;
    MILLRACE_TRY_ASSIGN(const auto records, log_->read(partition, next, {1, 1}, deadline));
    if (!records.empty()) oldest = oldest ? std::min(*oldest, records.front().time) : records.front().time;
  }
  return oldest;
}

void DeliveryMonitor::note(Delivery& delivery, const std::string& stage, std::optional<base::UtcTime> oldest,
                           bool is_paused) {
  const base::UtcTime now = clock_.now();
  if (!oldest) {
    oldest_.erase(stage);
    delivery.pending[stage] = std::chrono::milliseconds(0);
    return;
  }
  const auto moment = std::chrono::steady_clock::now();
  const auto age = std::max(std::chrono::milliseconds(0),
                            std::chrono::duration_cast<std::chrono::milliseconds>(now - *oldest));
  delivery.pending[stage] = age;
  Oldest& known = oldest_.try_emplace(stage, *oldest, moment).first->second;
  if (*oldest - known.change > kSameMoment || known.change - *oldest > kSameMoment) known = {*oldest, moment};
  const bool is_stalled =
      !is_paused && age >= options_.stall_time && moment - known.since >= options_.stall_time;
  if (!is_stalled || !delivery.stalled_stage.empty()) return;
  delivery.stalled_stage = stage;
  delivery.reason = fmt::format(
      "changes are not becoming visible: the oldest one has waited for the {} stage for {} s; is a {} "
      "running, "
      "and what does its log say?",
      stage, std::chrono::duration_cast<std::chrono::seconds>(age).count(), stage);
}

}  // namespace millrace::app
