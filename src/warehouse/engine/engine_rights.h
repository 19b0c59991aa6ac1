// What the engine's own user may do.
#pragma once

#include <filesystem>
#include <utility>

#include "base/result.h"

namespace millrace::warehouse {

/// A configuration for the engine, which reads it once when it is opened. Its only user gets rights by a
/// list: databases, tables, views, dictionaries, functions; none of files, other hosts, users, configuration
/// and shutting down. The list does not reach everything (scalar file(), executable(), dictionaries' sources:
/// the engine asks for no right), so it stands beside the guard and the confinement and replaces neither.
/// Without a configuration the engine would take a config.xml that happens to lie in the working directory.
class EngineRights {
 public:
  /// Writes it into a folder that is recreated in the data directory. `restricted` false leaves all rights.
  /// Errors: kFatal.
  [[nodiscard]] static base::Result<EngineRights> write(const std::filesystem::path& data_directory,
                                                        bool restricted);
  /// Takes the files away: nothing that is written there later can be loaded again.
  ~EngineRights();
  EngineRights(EngineRights&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
  EngineRights& operator=(EngineRights&&) = delete;
  EngineRights(const EngineRights&) = delete;
  EngineRights& operator=(const EngineRights&) = delete;

  [[nodiscard]] std::filesystem::path file() const { return folder_ / "config.xml"; }

 private:
  explicit EngineRights(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

}  // namespace millrace::warehouse
