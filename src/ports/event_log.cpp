#include "ports/event_log.h"

#include <zlib.h>

#include "base/assert.h"

namespace millrace::ports {

std::optional<std::string_view> Record::header(std::string_view name) const {
  for (const Header& entry : headers)
    if (entry.name == name) return entry.value;
  return std::nullopt;
}

std::int32_t partition_of(std::string_view key, std::int32_t partitions) {
  MILLRACE_ASSERT(partitions > 0);
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(key.data()), key.size());
  return static_cast<std::int32_t>(crc % static_cast<std::uint32_t>(partitions));
}

}  // namespace millrace::ports
