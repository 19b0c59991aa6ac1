// Many commands through the order service: a bounded number at a time, and outages waited out.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/backoff.h"
#include "base/deadline.h"
#include "base/result.h"
#include "base/stop.h"
#include "ordering/order_service.h"

namespace millrace::tools {

struct DispatchOptions {
  std::size_t in_flight_max = 256;                   ///< Commands submitted and not yet answered.
  std::chrono::milliseconds retry_first{50};         ///< Pauses while the order service is unavailable …
  std::chrono::milliseconds retry_longest{2'000};    ///< … grow from the first to the longest.
  std::chrono::milliseconds outage_max{5 * 60'000};  ///< With no success for this long it gives up …
  std::chrono::milliseconds start_max{15'000};       ///< … and sooner while there has been none at all.
  std::chrono::milliseconds answer_max{2 * 60'000};  ///< The order service answers within this, or is broken.
  std::chrono::milliseconds progress_interval{100};
};

/// Takes a command and calls `done` once: what OrderService::submit does.
using SubmitCommand = std::function<void(ordering::Command command, ordering::OnDone done)>;

/// Since `moment`, whole milliseconds.
[[nodiscard]] std::chrono::milliseconds elapsed_since(base::Deadline::Clock::time_point moment);

/// Carries out lists of commands that do not depend on each other. One caller thread.
class Dispatcher {
 public:
  using MakeCommand = std::function<ordering::Command(std::size_t task)>;
  /// What the answer means for the report; an error ends the run.
  using OnAnswer = std::function<base::Result<void>(std::size_t task, base::Result<ordering::Outcome>)>;

  /// `work` is the command to run again after an error: "import".
  Dispatcher(std::string work, const DispatchOptions& options, SubmitCommand submit,
             const base::StopSignal& stop);

  /// False if a stop was requested before the end. After an error nothing is in flight any more either.
  /// `on_tick` is called about every progress_interval. Errors: on_answer's; kUnavailable (an outage too
  /// long); kFatal (no answer at all).
  [[nodiscard]] base::Result<bool> run(std::size_t tasks, const MakeCommand& make_command,
                                       const OnAnswer& on_answer, const std::function<void()>& on_tick);

  /// The last refusal since the last success, or nothing.
  [[nodiscard]] const std::string& waiting_for() const { return waiting_for_; }

 private:
  struct Answers;

  const std::string work_;
  const DispatchOptions options_;
  const SubmitCommand submit_;
  const base::StopSignal& stop_;
  base::Backoff backoff_;
  std::shared_ptr<Answers> answers_;  // shared with the callbacks, so that a late one finds its place
  base::Deadline::Clock::time_point answered_at_ = base::Deadline::Clock::now();
  bool succeeded_ = false;
  std::string waiting_for_;
};

}  // namespace millrace::tools
