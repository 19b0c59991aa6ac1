#include "tools/byte_source.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zstd.h>

namespace millrace::tools {
namespace {

using base::Result;

constexpr std::size_t kPieceBytes = std::size_t{256} << 10u;
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";  // RFC 8878, section 3.1.1

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

class PlainFile final : public ByteSource {
 public:
  PlainFile(File file, std::string name)
      : file_(std::move(file)), name_(std::move(name)), buffer_(kPieceBytes) {}

  Result<std::string_view> next() override {
    const std::size_t length = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
    if (length == 0 && std::ferror(file_.get()) != 0)
      return base::unavailable(fmt::format("{} cannot be read: {}", name_, std::strerror(errno)), errno);
    return std::string_view(buffer_.data(), length);
  }

 private:
  File file_;
  const std::string name_;
  std::vector<char> buffer_;
};

class ZstdFile final : public ByteSource {
 public:
  ZstdFile(std::unique_ptr<ByteSource> packed, std::string name)
      : packed_(std::move(packed)),
        name_(std::move(name)),
        stream_(ZSTD_createDStream()),
        buffer_(kPieceBytes) {}

  Result<std::string_view> next() override {
    for (;;) {
      if (input_.pos == input_.size) {
        MILLRACE_TRY_ASSIGN(const std::string_view piece, packed_->next());
        // A frame that was complete needs no more input; what a full output left behind comes without any.
        if (piece.empty() && frame_complete_) return std::string_view();
        if (piece.empty() && !output_was_full_)
          return base::invalid(fmt::format("{} is cut off: its compressed data has no end", name_));
        input_ = {piece.data(), piece.size(), 0};
      }
      ZSTD_outBuffer output{buffer_.data(), buffer_.size(), 0};
      const std::size_t left = ZSTD_decompressStream(stream_.get(), &output, &input_);
      if (ZSTD_isError(left) != 0)
        return base::invalid(fmt::format("{} is damaged: {}", name_, ZSTD_getErrorName(left)));
      frame_complete_ = left == 0;
      output_was_full_ = output.pos == output.size;
      if (output.pos > 0) return std::string_view(buffer_.data(), output.pos);
    }
  }

 private:
  struct FreeStream {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ByteSource> packed_;
  const std::string name_;
  std::unique_ptr<ZSTD_DStream, FreeStream> stream_;
  std::vector<char> buffer_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool frame_complete_ = false;
  bool output_was_full_ = false;
};

class Text final : public ByteSource {
 public:
  Text(std::string text, std::size_t piece_bytes) : text_(std::move(text)), piece_bytes_(piece_bytes) {}
  Result<std::string_view> next() override {
    const std::size_t length = std::min(piece_bytes_, text_.size() - at_);
    const std::string_view piece(text_.data() + at_, length);
    at_ += length;
    return piece;
  }

 private:
  const std::string text_;
  const std::size_t piece_bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> open_bytes(const std::filesystem::path& path) {
  const std::string name = path.string();
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return base::invalid(fmt::format("{} is a directory, not a file", name));
  File file(std::fopen(name.c_str(), "rb"));
  if (file == nullptr) {
    const int code = errno;
    const std::string message = fmt::format("{} cannot be opened: {}", name, std::strerror(code));
    return code == ENOENT || code == ENOTDIR ? base::not_found(message) : base::unavailable(message, code);
  }
  std::string magic(kZstdMagic.size(), '\0');
  magic.resize(std::fread(magic.data(), 1, magic.size(), file.get()));
  std::rewind(file.get());
  std::unique_ptr<ByteSource> source = std::make_unique<PlainFile>(std::move(file), name);
  if (magic == kZstdMagic) source = std::make_unique<ZstdFile>(std::move(source), name);
  return source;
}

std::unique_ptr<ByteSource> bytes_of_text(std::string text, std::size_t piece_bytes) {
  return std::make_unique<Text>(std::move(text), piece_bytes);
}

}  // namespace millrace::tools
