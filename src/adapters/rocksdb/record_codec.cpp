#include "adapters/rocksdb/record_codec.h"

#include <cstdint>

namespace millrace::adapters::rocksdb {
namespace {

constexpr char kVersion = 1;

template <class Number>
void append_big_endian(std::string& out, Number value) {
  for (std::size_t i = sizeof(Number); i-- > 0;) out += static_cast<char>(value >> (8 * i) & 0xffu);
}

template <class Number>
std::optional<Number> take_big_endian(std::string_view& bytes) {
  if (bytes.size() < sizeof(Number)) return std::nullopt;
  Number value = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) value = value << 8u | static_cast<unsigned char>(bytes[i]);
  bytes.remove_prefix(sizeof(Number));
  return value;
}

}  // namespace

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7u) out += static_cast<char>(value | 0x80u);
  out += static_cast<char>(value);
}

void append_text(std::string& out, std::string_view text) {
  append_varint(out, text.size());
  out += text;
}

void append_big_endian_32(std::string& out, std::uint32_t value) {
  append_big_endian(out, value);
}
void append_big_endian_64(std::string& out, std::uint64_t value) {
  append_big_endian(out, value);
}

std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7fu) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> take_text(std::string_view& bytes) {
  const auto length = take_varint(bytes);
  if (!length || *length > bytes.size()) return std::nullopt;
  const std::string_view text = bytes.substr(0, *length);
  bytes.remove_prefix(*length);
  return text;
}

std::optional<std::uint32_t> take_big_endian_32(std::string_view& bytes) {
  return take_big_endian<std::uint32_t>(bytes);
}
std::optional<std::uint64_t> take_big_endian_64(std::string_view& bytes) {
  return take_big_endian<std::uint64_t>(bytes);
}

void encode_record(std::string& out, const ports::NewRecord& record) {
  out += kVersion;
  const auto ms = static_cast<std::uint64_t>(base::to_ms(record.time));
  for (unsigned i = 0; i < 8; ++i) out += static_cast<char>(ms >> (8 * i) & 0xffu);
  append_text(out, record.key);
  append_varint(out, record.headers.size());
  for (const ports::Header& header : record.headers) {
    append_text(out, header.name);
    append_text(out, header.value);
  }
  out += record.value;
}

std::optional<ports::Record> decode_record(std::int64_t offset, std::string_view bytes) {
  if (bytes.size() < 9 || bytes[0] != kVersion) return std::nullopt;
  std::uint64_t ms = 0;
  for (unsigned i = 0; i < 8; ++i)
    ms |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[1 + i])) << (8 * i);
  bytes.remove_prefix(9);
  ports::Record record;
  record.offset = offset;
  record.time = base::utc_from_ms(static_cast<std::int64_t>(ms));
  const auto key = take_text(bytes);
  const auto headers = take_varint(bytes);
  if (!key || !headers) return std::nullopt;
  record.key = *key;
  for (std::uint64_t i = 0; i < *headers; ++i) {
    const auto name = take_text(bytes);
    if (!name) return std::nullopt;
    const auto value = take_text(bytes);
    if (!value) return std::nullopt;
    record.headers.push_back({std::string(*name), std::string(*value)});
  }
  record.value = bytes;
  return record;
}

}  // namespace millrace::adapters::rocksdb
