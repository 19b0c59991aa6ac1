// A secret handed to a child by a descriptor: no list of processes, environment or file shows it.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace millrace::supervise {

/// A file in memory without a name, which cannot be changed any more. Closed in children that do not keep it.
class SecretFile {
 public:
  /// Errors: kFatal (no memory, no descriptors left).
  [[nodiscard]] static base::Result<SecretFile> make(const std::string& secret);
  ~SecretFile();
  SecretFile(SecretFile&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  SecretFile& operator=(SecretFile&&) = delete;
  SecretFile(const SecretFile&) = delete;
  SecretFile& operator=(const SecretFile&) = delete;

  /// For ChildSpec::kept_files. Readers share its offset and read with pread.
  [[nodiscard]] int file() const { return file_; }

 private:
  explicit SecretFile(int file) : file_(file) {}
  int file_;
};

}  // namespace millrace::supervise
