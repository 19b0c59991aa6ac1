// Whether order changes are becoming visible.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/stop.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "ports/outbox.h"

namespace millrace::app {

/// What a stage reads from the event log.
struct LogStage {
  std::string stage;
  std::string group;
  std::string topic;
  std::function<bool()> is_paused = {};  ///< By an operator: then nothing is wrong. Empty: never.
};

struct DeliveryOptions {
  std::chrono::milliseconds poll_interval{2'000};
  std::chrono::milliseconds call_timeout{1'000};
  /// A change that has waited for so long, and has been the oldest for so long, is not on its way.
  std::chrono::milliseconds stall_time{15'000};
};

struct Delivery {
  /// Age of the oldest change that each stage has not taken; 0 when it has all, missing when nobody knows.
  std::map<std::string, std::chrono::milliseconds> pending;
  /// The first stage at which changes stand still; empty while none does.
  std::string stalled_stage;
  std::string reason;

  [[nodiscard]] std::optional<std::chrono::milliseconds> oldest() const;
};

/// Owns a thread that looks every `poll_interval`. What it is given must outlive it.
class DeliveryMonitor {
 public:
  /// `outbox` may be null, where this process does not read it; so may `log`.
  DeliveryMonitor(ports::Outbox* outbox, ports::EventLog* log, std::vector<LogStage> stages,
                  const ports::Clock& clock, DeliveryOptions options = {});
  ~DeliveryMonitor();
  DeliveryMonitor(const DeliveryMonitor&) = delete;
  DeliveryMonitor& operator=(const DeliveryMonitor&) = delete;

  /// Of the last look. Any thread.
  [[nodiscard]] Delivery state() const;

 private:
  /// The oldest change that a stage has not taken, and since when it has been that one.
  struct Oldest {
    base::UtcTime change;
    std::chrono::steady_clock::time_point since;
  };
  void run();
  [[nodiscard]] Delivery look();
  [[nodiscard]] base::Result<std::optional<base::UtcTime>> oldest_in_log(const LogStage& stage);
  void note(Delivery& delivery, const std::string& stage, std::optional<base::UtcTime> oldest,
            bool is_paused);

  ports::Outbox* const outbox_;
  ports::EventLog* const log_;
  const std::vector<LogStage> stages_;
  const ports::Clock& clock_;
  const DeliveryOptions options_;
  std::map<std::string, Oldest> oldest_;  // by stage; the thread's own
  base::StopSignal stop_;
  mutable std::mutex mutex_;
  Delivery state_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace millrace::app
