// A small generator whose numbers are the same everywhere.
#pragma once

#include <chrono>
#include <cstdint>

namespace millrace::simulation {

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  [[nodiscard]] std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30u)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27u)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31u);
  }
  /// 0 … bound - 1; `bound` at least 1.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  [[nodiscard]] bool one_in(std::uint64_t n) { return below(n) == 0; }
  /// 0 … span.
  [[nodiscard]] std::chrono::microseconds up_to(std::chrono::microseconds span) {
    return std::chrono::microseconds(
        static_cast<std::int64_t>(below(static_cast<std::uint64_t>(span.count()) + 1)));
  }

 private:
  std::uint64_t state_;
};

}  // namespace millrace::simulation
