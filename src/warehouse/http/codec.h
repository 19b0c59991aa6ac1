// Compression of request and response bodies, piece by piece in bounded memory.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::warehouse {

/// Bytes that are read once from front to back. One caller.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills up to `size` > 0 bytes; 0 only at the end. Blocks until there is something.
  [[nodiscard]] virtual base::Result<std::size_t> read(char* into, std::size_t size) = 0;
};

/// `encoding` is HTTP's name (gzip, x-gzip, deflate, zstd, lz4; empty or identity: none). `inner` must
/// outlive the result. Errors: unknown encoding (vendor code 779); while reading, damaged data (271).
[[nodiscard]] base::Result<std::unique_ptr<ByteSource>> decoded(ByteSource& inner, std::string_view encoding);

/// The blocks of ClickHouse's own framing (`decompress=1`): checksum, method, sizes, data; LZ4, ZSTD or
/// plain; 32 MiB at most, packed and unpacked. No memory is taken for sizes that the data do not hold. Errors
/// while reading: wrong checksum (40), damaged data (271), a block that is too large (39).
[[nodiscard]] std::unique_ptr<ByteSource> decoded_blocks(ByteSource& inner);

/// Compresses a stream. One caller.
class Encoder {
 public:
  virtual ~Encoder() = default;
  /// Appends what is ready to `out`; with `last` everything, and the end mark.
  virtual void encode(std::string_view piece, bool last, std::string& out) = 0;
};

/// The best of gzip, deflate, zstd, lz4 that an Accept-Encoding header admits; empty: none.
[[nodiscard]] std::string choose_encoding(std::string_view accept_encoding);

/// `encoding` as `choose_encoding` gives it, not empty.
[[nodiscard]] std::unique_ptr<Encoder> make_encoder(std::string_view encoding);

/// ClickHouse's own framing with LZ4 (`compress=1`).
[[nodiscard]] std::unique_ptr<Encoder> make_block_encoder();

}  // namespace millrace::warehouse
