// The verification that runs by itself, now and then.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "adapters/mysql/named_lock.h"
#include "app/neighbours.h"
#include "app/settings.h"
#include "base/stop.h"
#include "base/utc_time.h"

namespace millrace::app {

/// What came out so far.
struct VerifyState {
  std::uint64_t runs_clean = 0;
  std::uint64_t runs_with_differences = 0;
  std::uint64_t runs_failed = 0;          ///< Could not be carried out.
  std::optional<base::UtcTime> last_run;  ///< The end of the last one, whatever came out.
  std::optional<base::UtcTime>
      last_success;  ///< Of the last one that was carried out, with or without differences.
  std::chrono::milliseconds last_duration{0};
  std::uint64_t differences = 0;  ///< Found by the last one that was carried out.
};

/// Owns a thread that compares order store and warehouse every `verify.interval`, at low priority; none when
/// the interval is 0. Of all processes that have one on the same order store, one does so (it holds a named
/// lock there), and the others take over when it is gone. Its outcome is a log line and `state`; it ends
/// nothing.
class VerifySchedule {
 public:
  VerifySchedule(const Settings& settings, Neighbours& neighbours);
  ~VerifySchedule();
  VerifySchedule(const VerifySchedule&) = delete;
  VerifySchedule& operator=(const VerifySchedule&) = delete;

  /// Asks a run to end at its next row. The destructor waits for that.
  void request_stop() { stop_.request(); }
  [[nodiscard]] VerifyState state() const;

 private:
  void run();
  /// True if this is the process that verifies.
  [[nodiscard]] bool has_lock();
  void verify_once();

  const Settings settings_;
  Neighbours& neighbours_;
  std::unique_ptr<adapters::mysql::NamedLock> lock_;  // of the thread
  base::StopSignal stop_;
  mutable std::mutex mutex_;
  VerifyState state_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace millrace::app
