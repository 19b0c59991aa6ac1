#include "warehouse/http/codec.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include <lz4.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/text.h"
#include "warehouse/engine/error_code.h"
#include "warehouse/http/city_hash.h"

namespace millrace::warehouse {
namespace {

constexpr std::size_t kPieceBytes = 64u << 10;
/// The window that RFC 9659 asks of HTTP's zstd; a larger one would be memory for the asking.
constexpr int kZstdWindowLogMax = 23;

std::unexpected<base::Error> damaged(std::string_view what) {
  return base::fail(base::ErrorKind::kInvalid, "the request's body is not readable as " + std::string(what),
                    kCannotDecompress);
}

/// What all decoders share: a buffer of compressed bytes that is refilled from the inner source.
class DecodingSource : public ByteSource {
 public:
  explicit DecodingSource(ByteSource& inner) : inner_(inner), buffer_(kPieceBytes) {}

 protected:
  /// True if there are compressed bytes; false at their end.
  [[nodiscard]] base::Result<bool> refill() {
    if (begin_ < end_) return true;
    MILLRACE_TRY_ASSIGN(end_, inner_.read(buffer_.data(), buffer_.size()));
    begin_ = 0;
    return end_ > 0;
  }
  [[nodiscard]] const char* input() const { return buffer_.data() + begin_; }
  [[nodiscard]] std::size_t input_size() const { return end_ - begin_; }
  void consume(std::size_t count) { begin_ += count; }

 private:
  ByteSource& inner_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

class ZlibSource final : public DecodingSource {
 public:
  explicit ZlibSource(ByteSource& inner) : DecodingSource(inner) {
    // 15 + 32: the largest window; gzip and zlib headers are told apart by zlib itself.
    MILLRACE_ASSERT(inflateInit2(&stream_, 15 + 32) == Z_OK);
  }
  ~ZlibSource() override { inflateEnd(&stream_); }

  base::Result<std::size_t> read(char* into, std::size_t size) override {
    for (;;) {
      MILLRACE_TRY_ASSIGN(const bool more, refill());
      if (!more) {
        if (!at_member_end_) return damaged("gzip: it ends too early");
        return std::size_t{0};
      }
      if (at_member_end_ && started_) inflateReset(&stream_);
      started_ = true;
      at_member_end_ = false;
      stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(input()));
      stream_.avail_in = static_cast<uInt>(input_size());
      stream_.next_out = reinterpret_cast<Bytef*>(into);
      stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(size, 1u << 30));
      const auto room = stream_.avail_out;
      const int outcome = inflate(&stream_, Z_NO_FLUSH);
      consume(input_size() - stream_.avail_in);
      if (outcome == Z_STREAM_END) at_member_end_ = true;
      if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR) return damaged("gzip");
      if (const std::size_t made = room - stream_.avail_out; made > 0) return made;
    }
  }

 private:
  z_stream stream_{};
  bool started_ = false;
  bool at_member_end_ = true;
};

class ZstdSource final : public DecodingSource {
 public:
  explicit ZstdSource(ByteSource& inner)
      : DecodingSource(inner), context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
    MILLRACE_ASSERT(
        ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax)) == 0);
  }

  base::Result<std::size_t> read(char* into, std::size_t size) override {
    for (;;) {
      // Output may still be inside the decoder when the input is used up.
      if (!flushing_) {
        MILLRACE_TRY_ASSIGN(const bool more, refill());
        if (!more) {
          if (!at_frame_end_) return damaged("zstd: it ends too early");
          return std::size_t{0};
        }
      }
      ZSTD_inBuffer in{input(), input_size(), 0};
      ZSTD_outBuffer out{into, size, 0};
      const std::size_t outcome = ZSTD_decompressStream(context_.get(), &out, &in);
      consume(in.pos);
      if (ZSTD_isError(outcome) != 0) return damaged("zstd");
      at_frame_end_ = outcome == 0;
      flushing_ = out.pos == size && outcome != 0;
      if (out.pos > 0) return out.pos;
    }
  }

 private:
  std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context_;
  bool at_frame_end_ = true;
  bool flushing_ = false;
};

class Lz4FrameSource final : public DecodingSource {
 public:
  explicit Lz4FrameSource(ByteSource& inner) : DecodingSource(inner) {
    MILLRACE_ASSERT(LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) == 0);
  }
  ~Lz4FrameSource() override { LZ4F_freeDecompressionContext(context_); }

  base::Result<std::size_t> read(char* into, std::size_t size) override {
    for (;;) {
      if (!flushing_) {
        MILLRACE_TRY_ASSIGN(const bool more, refill());
        if (!more) {
          if (!at_frame_end_) return damaged("lz4: it ends too early");
          return std::size_t{0};
        }
      }
      std::size_t taken = input_size();
      std::size_t made = size;
      const std::size_t outcome = LZ4F_decompress(context_, into, &made, input(), &taken, nullptr);
      consume(taken);
      if (LZ4F_isError(outcome) != 0) return damaged("lz4");
      at_frame_end_ = outcome == 0;
      flushing_ = made == size && outcome != 0;
      if (made > 0) return made;
    }
  }

 private:
  LZ4F_dctx* context_ = nullptr;
  bool at_frame_end_ = true;
  bool flushing_ = false;
};

class ZlibEncoder final : public Encoder {
 public:
  explicit ZlibEncoder(bool gzip) {
    MILLRACE_ASSERT(deflateInit2(&stream_, 3, Z_DEFLATED, gzip ? 31 : 15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~ZlibEncoder() override { deflateEnd(&stream_); }

  void encode(std::string_view piece, bool last, std::string& out) override {
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    std::array<char, 16u << 10> room;
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(room.data());
      stream_.avail_out = room.size();
      const int outcome = deflate(&stream_, last ? Z_FINISH : Z_NO_FLUSH);
      MILLRACE_ASSERT(outcome == Z_OK || outcome == Z_STREAM_END || outcome == Z_BUF_ERROR);
      out.append(room.data(), room.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

 private:
  z_stream stream_{};
};

class ZstdEncoder final : public Encoder {
 public:
  ZstdEncoder() : context_(ZSTD_createCCtx(), &ZSTD_freeCCtx) {}

  void encode(std::string_view piece, bool last, std::string& out) override {
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    std::array<char, 16u << 10> room;
    for (;;) {
      ZSTD_outBuffer made{room.data(), room.size(), 0};
      const std::size_t left =
          ZSTD_compressStream2(context_.get(), &made, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      MILLRACE_ASSERT(ZSTD_isError(left) == 0);
      out.append(room.data(), made.pos);
      if (last ? left == 0 : in.pos == in.size) return;
    }
  }

 private:
  std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context_;
};

class Lz4FrameEncoder final : public Encoder {
 public:
  Lz4FrameEncoder() {
    MILLRACE_ASSERT(LZ4F_isError(LZ4F_createCompressionContext(&context_, LZ4F_VERSION)) == 0);
  }
  ~Lz4FrameEncoder() override { LZ4F_freeCompressionContext(context_); }

  void encode(std::string_view piece, bool last, std::string& out) override {
    if (!begun_)
      append(out, LZ4F_HEADER_SIZE_MAX,
             [this](char* to, std::size_t size) { return LZ4F_compressBegin(context_, to, size, nullptr); });
    begun_ = true;
    if (!piece.empty())
      append(out, LZ4F_compressBound(piece.size(), nullptr), [&](char* to, std::size_t size) {
        return LZ4F_compressUpdate(context_, to, size, piece.data(), piece.size(), nullptr);
      });
    if (last)
      append(out, LZ4F_compressBound(0, nullptr),
             [this](char* to, std::size_t size) { return LZ4F_compressEnd(context_, to, size, nullptr); });
  }

 private:
  template <class Function>
  static void append(std::string& out, std::size_t room, Function&& make) {
    const std::size_t before = out.size();
    out.resize(before + room);
    const std::size_t made = make(out.data() + before, room);
    MILLRACE_ASSERT(LZ4F_isError(made) == 0);
    out.resize(before + made);
  }
  LZ4F_cctx* context_ = nullptr;
  bool begun_ = false;
};

// ClickHouse's own framing: 16 bytes CityHash128 (version 1.0.2) of what follows; 1 byte method; 4 bytes size
// of method, sizes and data; 4 bytes size when unpacked; data. Little endian. Source: ClickHouse docs,
// "Native protocol, compression".
constexpr std::size_t kChecksumBytes = 16;
constexpr std::size_t kBlockHeadBytes = 9;
constexpr std::size_t kBlockBytesMax = 32u << 20;
/// LZ4 cannot unpack a byte to more.
constexpr std::size_t kLz4RatioMax = 255;
constexpr std::size_t kBlockPlainBytes = 1u << 20;
/// No window needs to be larger than the block.
constexpr int kZstdBlockWindowLogMax = 25;
enum BlockMethod : unsigned char { kPlainBlock = 0x02, kLz4Block = 0x82, kZstdBlock = 0x90 };

std::uint32_t load32(const char* from) {
  std::uint32_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return value;
}
void append32(std::string& out, std::uint32_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

class BlockSource final : public ByteSource {
 public:
  explicit BlockSource(ByteSource& inner) : inner_(inner) {}

  base::Result<std::size_t> read(char* into, std::size_t size) override {
    while (at_ == plain_.size()) {
      MILLRACE_TRY_ASSIGN(const bool more, next_block());
      if (!more) return std::size_t{0};
    }
    const std::size_t count = std::min(size, plain_.size() - at_);
    std::memcpy(into, plain_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  /// False if the source ends before the first byte.
  base::Result<bool> fill(char* into, std::size_t size) {
    for (std::size_t filled = 0; filled < size;) {
      MILLRACE_TRY_ASSIGN(const std::size_t got, inner_.read(into + filled, size - filled));
      if (got == 0) {
        if (filled == 0) return false;
        return damaged("ClickHouse's compressed blocks: it ends inside one");
      }
      filled += got;
    }
    return true;
  }

  /// Reads the rest of the block, whose head is in `packed_`; memory follows the bytes that come.
  base::Result<void> fill_packed(std::size_t packed_size) {
    while (packed_.size() < packed_size) {
      const std::size_t before = packed_.size();
      const std::size_t count = std::min(packed_size - before, kPieceBytes);
      packed_.resize(before + count);
      MILLRACE_TRY_ASSIGN(const bool body, fill(packed_.data() + before, count));
      if (!body) return damaged("ClickHouse's compressed blocks: it ends inside one");
    }
    return {};
  }

  base::Result<bool> next_block() {
    std::array<char, kChecksumBytes> checksum;
    MILLRACE_TRY_ASSIGN(const bool more, fill(checksum.data(), checksum.size()));
    if (!more) return false;
    packed_.resize(kBlockHeadBytes);
    MILLRACE_TRY_ASSIGN(const bool head, fill(packed_.data(), kBlockHeadBytes));
    if (!head) return damaged("ClickHouse's compressed blocks: it ends inside one");
    const std::size_t packed_size = load32(packed_.data() + 1);
    const std::size_t plain_size = load32(packed_.data() + 5);
    if (packed_size < kBlockHeadBytes) return damaged("ClickHouse's compressed blocks");
    if (packed_size > kBlockBytesMax || plain_size > kBlockBytesMax)
      return base::fail(base::ErrorKind::kInvalid,
                        "a compressed block is larger than 32 MiB; send smaller ones",
                        kTooLargeSizeCompressed);
    MILLRACE_TRY(fill_packed(packed_size));
    const Hash128 hash = city_hash_128(packed_);
    if (std::memcmp(checksum.data(), &hash.low, 8) != 0 ||
        std::memcmp(checksum.data() + 8, &hash.high, 8) != 0)
      return base::fail(base::ErrorKind::kInvalid,
                        "Checksum doesn't match: a compressed block was damaged on its way",
                        kChecksumDoesntMatch);
    MILLRACE_TRY(unpack(std::string_view(packed_).substr(kBlockHeadBytes), plain_size));
    return true;
  }

  /// Makes `plain_` of the block's data. What the sizes say is believed only as far as the data can hold it.
  base::Result<void> unpack(std::string_view data, std::size_t plain_size) {
    plain_.clear();
    at_ = 0;
    switch (static_cast<unsigned char>(packed_[0])) {
      case kPlainBlock:
        if (data.size() != plain_size) return damaged("ClickHouse's compressed blocks");
        plain_ = data;
        return {};
      case kLz4Block: {
        if (plain_size > data.size() * kLz4RatioMax) return damaged("an LZ4 block");
        plain_.resize(plain_size);
        const int made = LZ4_decompress_safe(data.data(), plain_.data(), static_cast<int>(data.size()),
                                             static_cast<int>(plain_size));
        if (made < 0 || static_cast<std::size_t>(made) != plain_size) return damaged("an LZ4 block");
        return {};
      }
      case kZstdBlock:
        return unpack_zstd(data, plain_size);
      default:
        return base::fail(base::ErrorKind::kInvalid,
                          "unknown compression method of a block; LZ4, ZSTD and NONE are read",
                          kUnknownCompressionMethod);
    }
  }

  /// A few bytes may hold any size, so `plain_` grows with what comes out, up to what was announced.
  base::Result<void> unpack_zstd(std::string_view data, std::size_t plain_size) {
    const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
    MILLRACE_ASSERT(ZSTD_isError(ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax,
                                                        kZstdBlockWindowLogMax)) == 0);
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    for (std::size_t left = 1; left != 0;) {
      const std::size_t before = plain_.size();
      // One byte more than announced shows that there is more.
      const std::size_t room = std::min(std::max(before, kPieceBytes), plain_size - before + 1);
      plain_.resize(before + room);
      ZSTD_outBuffer out{plain_.data() + before, room, 0};
      left = ZSTD_decompressStream(context.get(), &out, &in);
      plain_.resize(before + out.pos);
      const bool is_stuck = out.pos == 0 && in.pos == in.size && left != 0;
      if (ZSTD_isError(left) != 0 || is_stuck || plain_.size() > plain_size) return damaged("a ZSTD block");
    }
    if (in.pos != in.size || plain_.size() != plain_size) return damaged("a ZSTD block");
    return {};
  }

  ByteSource& inner_;
  std::string packed_;
  std::string plain_;
  std::size_t at_ = 0;
};

class BlockEncoder final : public Encoder {
 public:
  void encode(std::string_view piece, bool last, std::string& out) override {
    waiting_ += piece;
    std::string_view rest = waiting_;
    while (rest.size() >= kBlockPlainBytes || (last && !rest.empty())) {
      const std::string_view plain = rest.substr(0, kBlockPlainBytes);
      append_block(plain, out);
      rest.remove_prefix(plain.size());
    }
    waiting_.erase(0, waiting_.size() - rest.size());
  }

 private:
  static void append_block(std::string_view plain, std::string& out) {
    std::string block(kBlockHeadBytes, '\0');
    block.resize(kBlockHeadBytes +
                 static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(plain.size()))));
    const int made =
        LZ4_compress_default(plain.data(), block.data() + kBlockHeadBytes, static_cast<int>(plain.size()),
                             static_cast<int>(block.size() - kBlockHeadBytes));
    MILLRACE_ASSERT(made > 0);
    block.resize(kBlockHeadBytes + static_cast<std::size_t>(made));
    std::string head;
    head += static_cast<char>(kLz4Block);
    append32(head, static_cast<std::uint32_t>(block.size()));
    append32(head, static_cast<std::uint32_t>(plain.size()));
    block.replace(0, kBlockHeadBytes, head);
    const Hash128 hash = city_hash_128(block);
    out.append(reinterpret_cast<const char*>(&hash.low), 8);
    out.append(reinterpret_cast<const char*>(&hash.high), 8);
    out += block;
  }
  std::string waiting_;
};

}  // namespace

base::Result<std::unique_ptr<ByteSource>> decoded(ByteSource& inner, std::string_view encoding) {
  const std::string name = base::to_lower(base::trim(encoding));
  std::unique_ptr<ByteSource> source;
  if (name == "gzip" || name == "x-gzip" || name == "deflate") source = std::make_unique<ZlibSource>(inner);
  if (name == "zstd") source = std::make_unique<ZstdSource>(inner);
  if (name == "lz4") source = std::make_unique<Lz4FrameSource>(inner);
  if (!source)
    return base::fail(
        base::ErrorKind::kInvalid,
        "unknown Content-Encoding '" + base::printable(name, 40) + "'; gzip, deflate, zstd and lz4 are read",
        kUnsupportedMediaType);
  return source;
}

std::unique_ptr<ByteSource> decoded_blocks(ByteSource& inner) {
  return std::make_unique<BlockSource>(inner);
}

std::string choose_encoding(std::string_view accept_encoding) {
  std::vector<std::string> accepted;
  while (!accept_encoding.empty()) {
    const auto comma = accept_encoding.find(',');
    const std::string_view item = accept_encoding.substr(0, comma);
    const auto parameters = item.find(';');
    const std::string quality =
        parameters == std::string_view::npos ? "" : base::to_lower(base::trim(item.substr(parameters + 1)));
    if (quality != "q=0" && quality != "q=0.0")
      accepted.push_back(base::to_lower(base::trim(item.substr(0, parameters))));
    if (comma == std::string_view::npos) break;
    accept_encoding.remove_prefix(comma + 1);
  }
  for (const char* known : {"zstd", "lz4", "gzip", "deflate"})
    if (std::ranges::find(accepted, known) != accepted.end()) return known;
  return {};
}

std::unique_ptr<Encoder> make_encoder(std::string_view encoding) {
  if (encoding == "zstd") return std::make_unique<ZstdEncoder>();
  if (encoding == "lz4") return std::make_unique<Lz4FrameEncoder>();
  return std::make_unique<ZlibEncoder>(encoding == "gzip");
}

std::unique_ptr<Encoder> make_block_encoder() {
  return std::make_unique<BlockEncoder>();
}

}  // namespace millrace::warehouse
