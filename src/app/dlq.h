// `millrace dlq`: dead letters from the command line, by the admin routes.
#pragma once

#include <cstdint>
#include <string>

#include "app/settings.h"
#include "base/result.h"
#include "base/stop.h"

namespace millrace::app {

struct DlqListCommand {
  std::string topic;  ///< The source's; empty: all.
  bool all = false;   ///< Also those that were handled.
  bool json = false;
  std::string after;  ///< What the list before this one named as its next part.
  std::uint32_t limit = 100;
};
[[nodiscard]] base::Result<void> run_dlq_list(const Settings& settings, const DlqListCommand& command);

[[nodiscard]] base::Result<void> run_dlq_show(const Settings& settings, const std::string& id);

struct DlqReplayCommand {
  std::string id;  ///< Empty: `all` of the open ones.
  bool all = false;
  std::string topic;       ///< With `all`: of this source only.
  std::string value_file;  ///< "-": standard input. Empty: the letter's own value.
};
/// With `all` it shows its progress on standard error, and ends early when `stop` is requested: what was done
/// is done. Errors: with `all` that of the first letter that could not be replayed, after the others were
/// tried.
[[nodiscard]] base::Result<void> run_dlq_replay(const Settings& settings, const DlqReplayCommand& command,
                                                const base::StopSignal& stop);

struct DlqDropCommand {
  std::string id;  ///< Empty: `all` of the open ones.
  bool all = false;
  std::string topic;  ///< With `all`: of this source only.
  std::string reason;
};
/// As run_dlq_replay.
[[nodiscard]] base::Result<void> run_dlq_drop(const Settings& settings, const DlqDropCommand& command,
                                              const base::StopSignal& stop);

}  // namespace millrace::app
