#include "warehouse/http/city_hash.h"

#include <bit>
#include <cstring>
#include <utility>

namespace millrace::warehouse {
namespace {

using u64 = std::uint64_t;

constexpr u64 kPrime0 = 0xc3a5c85c97cb3127;
constexpr u64 kPrime1 = 0xb492b66fbe98f273;
constexpr u64 kPrime2 = 0x9ae16a3b2f90404f;
constexpr u64 kPrime3 = 0xc949d7c7509e6557;
constexpr u64 kMultiplier = 0x9ddfea08eb382d69;

u64 load64(const char* at) {
  u64 value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}
u64 load32(const char* at) {
  std::uint32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}
u64 load8(const char* at) {
  return static_cast<unsigned char>(*at);
}

u64 fold(u64 value) {
  return value ^ (value >> 47);
}

u64 mix(u64 a, u64 b) {
  const u64 first = fold((a ^ b) * kMultiplier);
  return fold((b ^ first) * kMultiplier) * kMultiplier;
}

/// At most 16 bytes.
u64 hash_short(const char* at, std::size_t size) {
  if (size > 8) {
    const u64 last = load64(at + size - 8);
    return mix(load64(at), std::rotr(last + size, static_cast<int>(size))) ^ last;
  }
  if (size >= 4) return mix(size + (load32(at) << 3), load32(at + size - 4));
  if (size > 0) {
    const u64 head = load8(at) + (load8(at + (size >> 1)) << 8);
    const u64 tail = size + (load8(at + size - 1) << 2);
    return fold(head * kPrime2 ^ tail * kPrime3) * kPrime2;
  }
  return kPrime2;
}

struct Pair {
  u64 first = 0;
  u64 second = 0;
};

/// Mixes 32 bytes into two words.
Pair absorb32(const char* at, u64 a, u64 b) {
  const u64 last = load64(at + 24);
  a += load64(at);
  b = std::rotr(b + a + last, 21);
  const u64 kept = a;
  a += load64(at + 8) + load64(at + 16);
  b += std::rotr(a, 44);
  return {a + last, b + kept};
}

/// Fewer than 128 bytes.
Hash128 hash_medium(const char* at, std::size_t size, Pair seed) {
  u64 a = seed.first;
  u64 b = seed.second;
  u64 c = 0;
  u64 d = 0;
  if (size <= 16) {
    a = fold(a * kPrime1) * kPrime1;
    c = b * kPrime1 + hash_short(at, size);
    d = fold(a + (size >= 8 ? load64(at) : c));
  } else {
    c = mix(load64(at + size - 8) + kPrime1, a);
    d = mix(b + size, c + load64(at + size - 16));
    a += d;
    std::size_t done = 0;
    do {
      a = (a ^ (fold(load64(at + done) * kPrime1) * kPrime1)) * kPrime1;
      b ^= a;
      c = (c ^ (fold(load64(at + done + 8) * kPrime1) * kPrime1)) * kPrime1;
      d ^= c;
      done += 16;
    } while (done + 16 < size);
  }
  a = mix(a, c);
  b = mix(d, b);
  return {a ^ b, mix(b, a)};
}

Hash128 hash_seeded(const char* at, std::size_t size, Pair seed) {
  if (size < 128) return hash_medium(at, size, seed);
  u64 x = seed.first;
  u64 y = seed.second;
  u64 z = size * kPrime1;
  Pair v;
  v.first = std::rotr(y ^ kPrime1, 49) * kPrime1 + load64(at);
  v.second = std::rotr(v.first, 42) * kPrime1 + load64(at + 8);
  Pair w{std::rotr(y + z, 35) * kPrime1 + x, std::rotr(x + load64(at + 88), 53) * kPrime1};

  for (; size >= 128; size -= 128)
    for (int half = 0; half < 2; ++half, at += 64) {
      x = std::rotr(x + y + v.first + load64(at + 16), 37) * kPrime1;
      y = std::rotr(y + v.second + load64(at + 48), 42) * kPrime1;
      x ^= w.second;
      y ^= v.first;
      z = std::rotr(z ^ w.first, 33);
      v = absorb32(at, v.second * kPrime1, x + w.first);
      w = absorb32(at + 32, z + w.second, y);
      std::swap(z, x);
    }
  y += std::rotr(w.first, 37) * kPrime0 + z;
  x += std::rotr(v.first + z, 49) * kPrime0;
  // The rest from its end in steps of 32, reaching back into what is done already.
  for (std::size_t done = 0; done < size;) {
    done += 32;
    const char* step = at + size - done;
    y = std::rotr(y - x, 42) * kPrime0 + v.second;
    w.first += load64(step + 16);
    x = std::rotr(x, 49) * kPrime0 + w.first;
    w.first += v.first;
    v = absorb32(step, v.first, v.second);
  }
  x = mix(x, v.first);
  y = mix(y, w.first);
  return {mix(x + v.second, w.second) + y, mix(x + w.second, y + v.second)};
}

}  // namespace

Hash128 city_hash_128(std::string_view bytes) {
  const char* at = bytes.data();
  const std::size_t size = bytes.size();
  if (size >= 16) return hash_seeded(at + 16, size - 16, {load64(at) ^ kPrime3, load64(at + 8)});
  if (size >= 8)
    return hash_seeded(nullptr, 0, {load64(at) ^ (size * kPrime0), load64(at + size - 8) ^ kPrime1});
  return hash_seeded(at, size, {kPrime0, kPrime1});
}

}  // namespace millrace::warehouse
