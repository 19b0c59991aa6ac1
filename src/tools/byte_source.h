// Bytes of a file, piece by piece; a file compressed with Zstandard comes out unpacked.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::tools {

/// One caller.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  /// The next piece, valid until the next call; empty at the end. Errors: kInvalid (a damaged or cut
  /// compressed file), kUnavailable (the file cannot be read further).
  [[nodiscard]] virtual base::Result<std::string_view> next() = 0;
};

/// Opens a file; that it is compressed is seen from its first bytes, not from its name. Errors: kNotFound,
/// kInvalid (a directory), kUnavailable (no permission), each naming the file.
[[nodiscard]] base::Result<std::unique_ptr<ByteSource>> open_bytes(const std::filesystem::path& file);

/// The text in pieces of `piece_bytes`.
[[nodiscard]] std::unique_ptr<ByteSource> bytes_of_text(std::string text,
                                                        std::size_t piece_bytes = 64 * 1024);

}  // namespace millrace::tools
