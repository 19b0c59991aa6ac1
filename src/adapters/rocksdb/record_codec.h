// How a record lies on disk. The key (topic, partition, offset) is the database's; this is the value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ports/event_log.h"

namespace millrace::adapters::rocksdb {

/// Version byte 1; time as 8 bytes, little-endian, Unix ms; key; number of headers; name and value of each;
/// the rest is the value. Texts have their length in front; lengths and counts are varints (7 bits a byte,
/// lowest first).
void encode_record(std::string& out, const ports::NewRecord& record);

/// Nothing if the bytes are not such a value (another version, or damaged).
[[nodiscard]] std::optional<ports::Record> decode_record(std::int64_t offset, std::string_view bytes);

/// Bytes of key, value and headers: what limits speak of.
[[nodiscard]] std::size_t payload_bytes(const ports::NewRecord& record);
[[nodiscard]] std::size_t payload_bytes(const ports::Record& record);

// Pieces that the other values of the database are made of as well.
void append_varint(std::string& out, std::uint64_t value);
void append_text(std::string& out, std::string_view text);
void append_big_endian_32(std::string& out, std::uint32_t value);
void append_big_endian_64(std::string& out, std::uint64_t value);
[[nodiscard]] std::optional<std::uint64_t> take_varint(std::string_view& bytes);
[[nodiscard]] std::optional<std::string_view> take_text(std::string_view& bytes);
[[nodiscard]] std::optional<std::uint32_t> take_big_endian_32(std::string_view& bytes);
[[nodiscard]] std::optional<std::uint64_t> take_big_endian_64(std::string_view& bytes);

}  // namespace millrace::adapters::rocksdb
