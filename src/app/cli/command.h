// What every subcommand of `millrace` is made of: its place on the command line, the settings, its run and
// its exit code.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "app/config/credentials.h"
#include "app/config/settings.h"
#include "base/result.h"
#include "base/stop.h"

namespace CLI {
class App;
}

namespace millrace::app {

/// Where this run's settings come from: the file, the environment and the flags.
struct SettingSources {
  std::string config_file;  ///< Empty: millrace.toml in the working directory, if it is there.
  std::map<std::string, std::string> flags;  ///< By the setting's key.

  /// Prints the settings' warnings on standard error, and takes the secrets out of the environment: once, and
  /// while there is one thread. Errors: kInvalid, kNotFound.
  [[nodiscard]] base::Result<Settings> load() const;
};

/// The subcommands, each with what it does. One caller.
class Commands {
 public:
  /// Called at most once. Shape: the exit code.
  using Run = std::function<int(const SettingSources&)>;

  /// A subcommand of `parent` that understands the settings' flags too. The command line may end with it, or,
  /// where the caller lets it, go on with a subcommand of its own, which then is what runs.
  CLI::App& add(CLI::App& parent, const std::string& name, const std::string& help, Run run);
  /// One that only holds others.
  CLI::App& add_group(CLI::App& parent, const std::string& name, const std::string& help);

  /// What the parsed command line asks for. Shape: the exit code.
  [[nodiscard]] int run(const SettingSources& sources) const;

 private:
  std::vector<std::pair<const CLI::App*, Run>> all_;  // a parent stands before its subcommands
};

/// Prints what is wrong, if something is. Shape: the exit code.
[[nodiscard]] int finish(const base::Result<void>& outcome);
/// Likewise; false: what was looked at is not as it should be (kExitDifferences).
[[nodiscard]] int finish_check(const base::Result<bool>& outcome);

/// Shape: the exit code.
using Work = std::function<int(const Settings& settings, base::StopSignal& stop)>;

/// Sets up the log, and does `work`, which SIGINT and SIGTERM ask to stop. Shape: the exit code.
[[nodiscard]] int run_with_log(const Settings& settings, const Work& work);

/// Loads the settings, fills in the passwords of the stores in `used`, and goes on as `run_with_log`.
[[nodiscard]] int run_tool(const SettingSources& sources, StoresUsed used, const Work& work);

/// For commands that talk to no store by themselves.
inline constexpr StoresUsed kNoStores{.mysql = false, .clickhouse = false};

}  // namespace millrace::app
