// The tools of the command line.
#pragma once

#include <chrono>
#include <string>

#include "app/config/settings.h"
#include "base/result.h"
#include "base/stop.h"
#include "tools/load.h"

namespace millrace::app {

inline constexpr const char* kVersion = MILLRACE_VERSION;

struct InitDbOptions {
  std::string url;  ///< Without a password, which is mysql.password. Empty: from the settings.
  bool sample = true;
};
[[nodiscard]] base::Result<void> run_init_db(const Settings& settings, const InitDbOptions& options);
[[nodiscard]] base::Result<void> run_init_warehouse(const Settings& settings);

[[nodiscard]] base::Result<void> run_import(const Settings& settings, const std::string& kind,
                                            const std::string& file, const base::StopSignal& stop);

/// Errors: kInvalid also when some orders cannot be announced as they are; the others have been.
[[nodiscard]] base::Result<void> run_backfill(const Settings& settings, const base::StopSignal& stop);

struct VerifyCommand {
  std::chrono::milliseconds patience{30'000};
  bool json = false;
};
/// True if there are no differences.
[[nodiscard]] base::Result<bool> run_verify(const Settings& settings, const VerifyCommand& command,
                                            const base::StopSignal& stop);

struct LoadCommand {
  tools::LoadOptions load;
  bool watch = false;
};
[[nodiscard]] base::Result<void> run_load_command(const Settings& settings, const LoadCommand& command,
                                                  const base::StopSignal& stop);

}  // namespace millrace::app
