// Landlock: which files a process may touch and which TCP ports it may use, as the kernel holds it to them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"

namespace millrace::confinement {

/// What stays allowed; everything else that the kernel's version of Landlock knows is denied: files, TCP,
/// ioctl on devices, abstract Unix sockets of others, and signals to others. Paths need not exist: one that
/// does not is left out. A folder stands for everything beneath it, a symbolic link for what it leads to.
struct FileAndPortRules {
  std::vector<std::filesystem::path> readable;
  std::vector<std::filesystem::path> writable;    ///< To read, make, rename and remove, too.
  std::vector<std::filesystem::path> executable;  ///< To run and to read.
  std::vector<std::uint16_t> bound_ports;         ///< TCP ports to listen on. None may be connected to.
};

/// The version of Landlock that the kernel offers; 0: none, or one that cannot be used. The first version
/// (Linux 5.13 to 5.18) denies every rename and link between folders, without which neither the engine nor
/// MariaDB works.
[[nodiscard]] int landlock_version();

/// Rules in the form that the kernel takes. Movable; one owner.
class Ruleset {
 public:
  /// Nothing where the kernel has no Landlock. Errors: kFatal (the kernel refuses the rules, or a path exists
  /// and cannot be opened).
  [[nodiscard]] static base::Result<std::optional<Ruleset>> prepare(const FileAndPortRules& rules);
  ~Ruleset();
  Ruleset(Ruleset&& other) noexcept
      : file_(std::exchange(other.file_, -1)), pinned_(std::exchange(other.pinned_, {})) {}
  Ruleset& operator=(Ruleset&&) = delete;
  Ruleset(const Ruleset&) = delete;
  Ruleset& operator=(const Ruleset&) = delete;

  /// The descriptor, for `enforce`.
  [[nodiscard]] int file() const { return file_; }

 private:
  explicit Ruleset(int file) : file_(file) {}
  [[nodiscard]] base::Result<void> allow(const std::filesystem::path& path, std::uint64_t rights,
                                         std::uint64_t handled);
  int file_ = -1;
  std::vector<int> pinned_;
};

/// Holds the calling thread, and what it starts from now on, to the rules for good. It gains no privileges by
/// exec any more. Only system calls: may be called between fork and exec. 0, or the error number.
[[nodiscard]] int enforce(int ruleset_file) noexcept;

}  // namespace millrace::confinement
