// Files that are replaced whole or not at all.
#pragma once

#include <filesystem>
#include <string_view>

#include <sys/types.h>

#include "base/descriptor.h"
#include "base/result.h"

namespace millrace::base {

// Errors of all: kFatal, "cannot write PATH: why", with errno as the vendor's code.

/// Writes a file's new text into PATH.partial, which `commit` puts in the place of PATH: whoever reads PATH
/// finds the old text or the new one, after a power cut too. One caller, and one at a time for each path.
class AtomicFile {
 public:
  /// Makes PATH.partial with `mode`, whatever the umask. What a write that was cut off left there is removed.
  [[nodiscard]] static Result<AtomicFile> create(const std::filesystem::path& path, mode_t mode = 0600);
  /// Removes what was not committed.
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  [[nodiscard]] Result<void> write(std::string_view text);
  /// Puts the text in its place; it is on the disk when this returns. Last, and once. After an error PATH may
  /// have either text.
  [[nodiscard]] Result<void> commit();

 private:
  AtomicFile(std::filesystem::path path, std::filesystem::path partial, Descriptor file);
  std::filesystem::path path_;
  std::filesystem::path partial_;  // empty: it is in its place
  Descriptor file_;
};

/// An AtomicFile with this text, committed.
[[nodiscard]] Result<void> replace_file(const std::filesystem::path& path, std::string_view text,
                                        mode_t mode = 0600);

/// Waits until the names in a directory are on the disk as they are now.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& directory);

}  // namespace millrace::base
