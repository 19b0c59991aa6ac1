#include "warehouse/http/codec.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include <gtest/gtest.h>
#include <malloc.h>
#include <zstd.h>

#include "warehouse/http/city_hash.h"

namespace {

/// What is taken by `new` between begin and end, at its highest.
struct Peak {
  static void begin() {
    now = highest = 0;
    counts = true;
  }
  static std::size_t end() {
    counts = false;
    return static_cast<std::size_t>(highest);
  }
  static void add(void* memory, int sign) {
    if (!counts || memory == nullptr) return;
    now += sign * static_cast<long>(::malloc_usable_size(memory));
    highest = std::max(highest, now);
  }
  static thread_local bool counts;
  static thread_local long now;
  static thread_local long highest;
};
thread_local bool Peak::counts = false;
thread_local long Peak::now = 0;
thread_local long Peak::highest = 0;

}  // namespace

// Not inlined: the compiler would take free() for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  Peak::add(memory, 1);
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  Peak::add(memory, -1);
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  Peak::add(memory, -1);
  std::free(memory);
}

namespace millrace::warehouse {
namespace {

/// Hands out its bytes in pieces of a given size.
class Pieces final : public ByteSource {
 public:
  Pieces(std::string bytes, std::size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}
  base::Result<std::size_t> read(char* into, std::size_t size) override {
    const std::size_t count = std::min({size, piece_, bytes_.size() - at_});
    std::memcpy(into, bytes_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::string bytes_;
  std::size_t piece_;
  std::size_t at_ = 0;
};

base::Result<std::string> read_all(ByteSource& source) {
  std::string all;
  char room[1000];
  for (;;) {
    MILLRACE_TRY_ASSIGN(const std::size_t got, source.read(room, sizeof room));
    if (got == 0) return all;
    all.append(room, got);
  }
}

std::string sample(std::size_t size) {
  std::string bytes;
  std::uint32_t state = 7;
  for (std::size_t i = 0; i < size; ++i) {
    state = state * 1664525 + 1013904223;
    bytes += static_cast<char>(i % 3 == 0 ? state >> 24 : 'a' + i % 20);
  }
  return bytes;
}

std::string packed(Encoder& encoder, const std::string& plain, std::size_t piece) {
  std::string out;
  for (std::size_t at = 0; at < plain.size(); at += piece)
    encoder.encode(std::string_view(plain).substr(at, piece), false, out);
  encoder.encode({}, true, out);
  return out;
}

TEST(Codec, ReadsBackWhatItWroteInPiecesOfAnySize) {
  for (const char* encoding : {"gzip", "deflate", "zstd", "lz4"})
    for (const std::size_t size : {0u, 1u, 1000u, 300'000u})
      for (const std::size_t piece : {1u, 999u, 100'000u}) {
        if (size == 300'000 && piece == 1) continue;
        const std::string plain = sample(size);
        Pieces source(packed(*make_encoder(encoding), plain, piece), piece);
        auto decoder = decoded(source, encoding);
        ASSERT_TRUE(decoder);
        const auto read = read_all(**decoder);
        ASSERT_TRUE(read) << encoding << size << ": " << read.error().message;
        EXPECT_EQ(*read, plain) << encoding;
      }
}

TEST(Codec, ReportsDataThatEndTooEarlyOrAreDamaged) {
  for (const char* encoding : {"gzip", "zstd", "lz4"}) {
    const std::string whole = packed(*make_encoder(encoding), sample(100'000), 5000);
    Pieces cut(whole.substr(0, whole.size() - 9), 777);
    const auto cut_decoder = decoded(cut, encoding);
    const auto cut_read = read_all(**cut_decoder);
    ASSERT_FALSE(cut_read) << encoding;
    EXPECT_EQ(cut_read.error().vendor_code, 271);
    Pieces noise(sample(5000), 777);
    const auto noise_decoder = decoded(noise, encoding);
    EXPECT_FALSE(read_all(**noise_decoder)) << encoding;
  }
}

TEST(Codec, KnowsNoOtherEncodings) {
  Pieces source("x", 1);
  const auto decoder = decoded(source, "br");
  ASSERT_FALSE(decoder);
  EXPECT_EQ(decoder.error().vendor_code, 779);
}

TEST(Codec, ChoosesAmongAcceptedEncodings) {
  EXPECT_EQ(choose_encoding("gzip, deflate"), "gzip");
  EXPECT_EQ(choose_encoding("br, ZSTD;q=0.5, gzip"), "zstd");
  EXPECT_EQ(choose_encoding("zstd;q=0, deflate"), "deflate");
  EXPECT_EQ(choose_encoding("br, identity"), "");
  EXPECT_EQ(choose_encoding(""), "");
}

TEST(Codec, ReadsBackItsBlocksAndFindsEveryDamagedByte) {
  for (const std::size_t size : {0u, 1u, 5000u, 2'500'000u}) {
    const std::string plain = sample(size);
    Pieces source(packed(*make_block_encoder(), plain, 70'000), 3333);
    const auto read = read_all(*decoded_blocks(source));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, plain);
  }
  const std::string whole = packed(*make_block_encoder(), sample(300), 300);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    Pieces source(damaged, 50);
    EXPECT_FALSE(read_all(*decoded_blocks(source))) << at;
    Pieces cut(whole.substr(0, at), 50);
    EXPECT_EQ(read_all(*decoded_blocks(cut)).has_value(), at == 0) << at;
  }
}

std::string block(unsigned char method, std::uint32_t packed_size, std::uint32_t plain_size,
                  std::string_view data) {
  std::string text(1, static_cast<char>(method));
  text.append(reinterpret_cast<const char*>(&packed_size), 4)
      .append(reinterpret_cast<const char*>(&plain_size), 4)
      .append(data);
  const Hash128 hash = city_hash_128(text);
  return std::string(reinterpret_cast<const char*>(&hash.low), 8)
             .append(reinterpret_cast<const char*>(&hash.high), 8) +
         text;
}

/// The most memory that reading these bytes takes at once, in bytes. The allocator's own count.
std::size_t memory_of_reading(const std::string& bytes, bool damaged) {
  Pieces source(bytes, 1000);
  Peak::begin();
  {
    const auto blocks = decoded_blocks(source);
    EXPECT_EQ(read_all(*blocks).has_value(), !damaged);
  }
  return Peak::end();
}

TEST(Codec, TakesNoMemoryForSizesThatTheDataDoNotHold) {
  constexpr std::uint32_t kLarge = 32u << 20;
  for (const int number : {0x02, 0x82, 0x90}) {
    const auto method = static_cast<unsigned char>(number);
    // 25 bytes: the head alone, with a right checksum.
    EXPECT_LT(memory_of_reading(block(method, 9, kLarge, ""), true), 1'000'000u) << number;
    EXPECT_LT(memory_of_reading(block(method, 12, kLarge, "abc"), true), 1'000'000u) << number;
    EXPECT_LT(memory_of_reading(block(method, kLarge, kLarge, ""), true), 1'000'000u) << number;
    EXPECT_LT(memory_of_reading(block(method, 9, 1u << 30, ""), true), 1'000'000u) << number;
    EXPECT_LT(memory_of_reading(block(method, 1u << 30, 9, ""), true), 1'000'000u) << number;
  }
}

TEST(Codec, ReadsZstdBlocksAndNoneThatHoldMoreThanTheySay) {
  const std::string plain(300'000, 'a');
  std::string data(1000, '\0');
  data.resize(ZSTD_compress(data.data(), data.size(), plain.data(), plain.size(), 3));
  const auto size = static_cast<std::uint32_t>(data.size() + 9);
  Pieces right(block(0x90, size, 300'000, data), 7);
  EXPECT_EQ(read_all(*decoded_blocks(right)), plain);
  for (const std::uint32_t wrong : {0u, 1u, 299'999u, 300'001u, 20'000'000u}) {
    Pieces source(block(0x90, size, wrong, data), 7);
    EXPECT_FALSE(read_all(*decoded_blocks(source))) << wrong;
  }
}

TEST(Codec, TakesNoWindowThatHttpDoesNotKnow) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string packed_text(1000, '\0');
  ZSTD_inBuffer in{"abc", 3, 0};
  ZSTD_outBuffer out{packed_text.data(), packed_text.size(), 0};
  ASSERT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush), 0u);
  ASSERT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  Pieces source(packed_text.substr(0, out.pos), 100);
  EXPECT_FALSE(read_all(**decoded(source, "zstd")));
}

// The values were made with an independent implementation, the PyPI package clickhouse-cityhash 1.0.2.
TEST(CityHash, GivesTheValuesOfVersion102) {
  struct Golden {
    std::size_t size;
    Hash128 hash;
  };
  for (const Golden& golden : {Golden{0, {4463240938071824939u, 4374473821787594281u}},
                               {1, {6486216246284730220u, 6388508064046246170u}},
                               {7, {5578084041489786083u, 2679232765853735888u}},
                               {9, {9261740631823054834u, 600164367174659976u}},
                               {16, {5656002783263626045u, 11197375660488423367u}},
                               {33, {15371119933201906215u, 546125323808635668u}},
                               {127, {5697992637649286887u, 4105260643096238023u}},
                               {144, {18144507730436500950u, 16202787094767949798u}},
                               {145, {3877172000229667395u, 8711103625702655861u}},
                               {300, {4414746644076925227u, 1746927381805843068u}},
                               {4097, {7470482655068663405u, 891080869591533742u}}}) {
    std::string bytes;
    for (std::size_t i = 0; i < golden.size; ++i) bytes += static_cast<char>((i * 7 + golden.size) % 251);
    EXPECT_EQ(city_hash_128(bytes), golden.hash) << golden.size;
  }
}

}  // namespace
}  // namespace millrace::warehouse
