// `millrace rebuild`, `replay` and `jobs`: asking a running `millrace up` for jobs, by its admin routes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/config/settings.h"
#include "base/result.h"
#include "base/stop.h"

namespace millrace::app {

struct RebuildCommand {
  bool wait = true;  ///< Follow the job to its end.
};
/// Errors: as AdminClient; kConflict also when the job was cancelled, kFatal when it failed, kUnavailable
/// when `stop` came first (the job goes on).
[[nodiscard]] base::Result<void> run_rebuild(const Settings& settings, const RebuildCommand& command,
                                             const base::StopSignal& stop);

struct ReplayCommand {
  std::string topic = "orders_analytics";
  std::string from;
  std::optional<std::int32_t> partition;
  bool wait = true;
};
/// Errors: as run_rebuild.
[[nodiscard]] base::Result<void> run_replay(const Settings& settings, const ReplayCommand& command,
                                            const base::StopSignal& stop);

struct JobsCommand {
  bool json = false;
  std::optional<std::uint64_t> cancel;  ///< This job, instead of listing.
  std::optional<std::uint64_t> follow;  ///< Likewise.
};
[[nodiscard]] base::Result<void> run_jobs(const Settings& settings, const JobsCommand& command,
                                          const base::StopSignal& stop);

}  // namespace millrace::app
