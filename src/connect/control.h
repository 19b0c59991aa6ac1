// Runs the sink when the connector is to run, and lets it rest when not.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/stop.h"
#include "connect/connector.h"
#include "connect/registry.h"

namespace millrace::connect {

struct ControlOptions {
  std::chrono::milliseconds poll_interval{1'000};  ///< How soon one sink sees what another was told.
  std::chrono::milliseconds call_timeout{10'000};
};

/// What the sink of this process does.
struct Task {
  bool is_running = false;
  std::string failure;  ///< Why it ended by itself; empty: it did not.
};

/// Thread-safe, but `run` has one caller. Owns a thread that looks at the registry.
class Control {
 public:
  explicit Control(Registry& registry, ControlOptions options = {});
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// Calls `work` again and again while the connector is to run, asking it to stop when that changes, until
  /// `stop`. `work` must leave everything in an order from which the next call can go on. Before the registry
  /// has been read once nothing runs. Errors: those of `work`.
  [[nodiscard]] base::Result<void> run(
      const std::function<base::Result<void>(const base::StopSignal&)>& work);
  void stop();

  /// True if the connector is known to be paused, stopped or deleted.
  [[nodiscard]] bool rests() const;
  [[nodiscard]] Task task() const;

  // Commands. Each is written to the registry first, takes effect here at once and in other sinks within a
  // poll. Errors: kNotFound (there is no connector), and the registry's; after kUnavailable it may have been
  // written.

  /// Errors: kNotFound.
  [[nodiscard]] base::Result<Connector> connector();
  /// Registers it, running, or gives a registered one another configuration and leaves it in its state.
  /// Shape: the connector, and whether there was none. Errors: kConflict (there is one, and `may_replace` is
  /// false).
  [[nodiscard]] base::Result<std::pair<Connector, bool>> put(Config config, bool may_replace);
  [[nodiscard]] base::Result<void> set_target(TargetState target);
  [[nodiscard]] base::Result<void> restart();

 private:
  [[nodiscard]] base::Deadline soon() const { return base::Deadline::in(options_.call_timeout); }
  [[nodiscard]] base::Result<void> change(const std::function<void(Connector&)>& how);
  [[nodiscard]] base::Result<Connector> read();
  void look();
  void take(const Connector& connector);

  Registry& registry_;
  const ControlOptions options_;
  std::mutex commands_;  // one talk with the registry at a time
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Connector> known_;    // guarded by mutex_
  base::StopSignal* turn_ = nullptr;  // of the call of `work` that runs; guarded by mutex_
  std::string failure_;               // guarded by mutex_
  bool stopping_ = false;             // guarded by mutex_
  base::StopSignal stop_looking_;
  std::thread thread_;
};

}  // namespace millrace::connect
