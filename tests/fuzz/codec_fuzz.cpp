// What unpacks bodies: ClickHouse's blocks and the content encodings.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "warehouse/http/city_hash.h"
#include "warehouse/http/codec.h"

namespace {

using namespace millrace;

constexpr std::size_t kOutputMax = 4u << 20;

class Pieces final : public warehouse::ByteSource {
 public:
  Pieces(std::string_view bytes, std::size_t piece) : bytes_(bytes), piece_(piece) {}
  base::Result<std::size_t> read(char* into, std::size_t size) override {
    const std::size_t count = std::min({size, piece_, bytes_.size()});
    std::memcpy(into, bytes_.data(), count);
    bytes_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view bytes_;
  std::size_t piece_;
};

/// Whether all of it could be read, and what came out, up to a bound.
std::pair<bool, std::string> read_all(warehouse::ByteSource& source, std::size_t room) {
  std::string all;
  std::string some(room, '\0');
  while (all.size() < kOutputMax) {
    const auto got = source.read(some.data(), some.size());
    if (!got) return {false, all};
    if (*got > some.size()) std::abort();
    if (*got == 0) return {true, all};
    all.append(some, 0, *got);
  }
  return {true, all};
}

/// Makes the checksum and the packed size right: else nothing behind them would ever be reached.
std::string as_block(std::string_view data) {
  std::string block(data);
  block.resize(std::max<std::size_t>(block.size(), 9));
  constexpr std::array<char, 3> kMethods = {'\x02', '\x82', '\x90'};
  block[0] = kMethods[static_cast<unsigned char>(block[0]) % kMethods.size()];
  const auto packed_size = static_cast<std::uint32_t>(block.size());
  std::memcpy(block.data() + 1, &packed_size, sizeof packed_size);
  const warehouse::Hash128 hash = warehouse::city_hash_128(block);
  std::string whole(16, '\0');
  std::memcpy(whole.data(), &hash.low, 8);
  std::memcpy(whole.data() + 8, &hash.high, 8);
  return whole + block;
}

void read_encoded(std::string_view bytes, std::string_view encoding, bool is_in_blocks) {
  std::pair<bool, std::string> first;
  for (const bool again : {false, true}) {
    Pieces pieces(bytes, again ? 7 : 1u << 20);
    const auto plain = warehouse::decoded(pieces, encoding);
    if (!plain) std::abort();
    auto read = is_in_blocks ? read_all(*warehouse::decoded_blocks(**plain), again ? 100 : 65'536)
                             : read_all(**plain, again ? 1'000 : 65'536);
    // In pieces it is the same; an error may come before or after what could be read.
    if (again && read.first != first.first) std::abort();
    if (again && read.first && read.second.size() < kOutputMax && read.second != first.second) std::abort();
    first = std::move(read);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr std::array<const char*, 4> kEncodings = {"gzip", "deflate", "zstd", "lz4"};
  if (data[0] < 64) {
    const std::string block = as_block(bytes);
    Pieces pieces(block, 1 + data[0]);
    static_cast<void>(read_all(*warehouse::decoded_blocks(pieces), 65'536));
  } else if (data[0] < 80) {
    Pieces pieces(bytes, data[0] - 63);
    static_cast<void>(read_all(*warehouse::decoded_blocks(pieces), 100));
  } else {
    read_encoded(bytes, kEncodings[data[0] % 4], data[0] >= 240);
  }
  return 0;
}
