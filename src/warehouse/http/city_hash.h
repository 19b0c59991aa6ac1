// The checksum of ClickHouse's compressed blocks.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::warehouse {

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

/// CityHash128 as of version 1.0.2; later versions of CityHash give other values. Checked against published
/// values in the tests. Source: G. Pike and J. Alakuijala, CityHash (2011); ClickHouse has frozen that
/// version for its wire format.
[[nodiscard]] Hash128 city_hash_128(std::string_view bytes);

}  // namespace millrace::warehouse
