// `millrace dlq`: dead letters from the command line, by the admin routes of a running `millrace up`.
#pragma once

#include <string>

#include "app/settings.h"
#include "base/result.h"

namespace millrace::app {

struct DlqListCommand {
  std::string topic;  ///< The source's; empty: all.
  bool all = false;   ///< Also those that were handled.
  bool json = false;
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
/// Errors: with `all` that of the first letter that could not be replayed, after the others were tried.
[[nodiscard]] base::Result<void> run_dlq_replay(const Settings& settings, const DlqReplayCommand& command);

[[nodiscard]] base::Result<void> run_dlq_drop(const Settings& settings, const std::string& id,
                                              const std::string& reason);

}  // namespace millrace::app
