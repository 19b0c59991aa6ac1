// ClickHouse's RowBinary: little-endian numbers, strings behind their length as a varint.
// Source: ClickHouse documentation, "RowBinary" format.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::sink {

static_assert(std::endian::native == std::endian::little, "RowBinary is written by copying memory");

/// Appends values to a buffer; the caller knows the columns' types.
class RowBinaryWriter {
 public:
  explicit RowBinaryWriter(std::string& out) : out_(out) {}

  template <std::integral Number>
  void number(Number value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out_.append(bytes, sizeof value);
  }
  void string(std::string_view text) {
    auto rest = text.size();
    while (rest >= 0x80) {
      out_ += static_cast<char>(static_cast<unsigned char>(rest | 0x80u));
      rest >>= 7u;
    }
    out_ += static_cast<char>(static_cast<unsigned char>(rest));
    out_ += text;
  }

 private:
  std::string& out_;
};

/// Reads values back; after a read beyond the end every value is empty and `broken` is true.
class RowBinaryReader {
 public:
  explicit RowBinaryReader(std::string_view data) : rest_(data) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] bool broken() const { return broken_; }

  template <std::integral Number>
  Number number() {
    Number value{};
    const std::string_view bytes = take(sizeof value);
    if (!broken_) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::string_view string() {
    std::size_t size = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      const auto byte = number<std::uint8_t>();
      size |= static_cast<std::size_t>(byte & 0x7fu) << shift;
      if ((byte & 0x80u) == 0) break;
    }
    return take(size);
  }

 private:
  std::string_view take(std::size_t size) {
    if (broken_ || rest_.size() < size) {
      broken_ = true;
      rest_ = {};
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view rest_;
  bool broken_ = false;
};

}  // namespace millrace::sink
