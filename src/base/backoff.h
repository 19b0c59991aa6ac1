// Growing pauses between attempts, with jitter so that many clients do not come back at the same moment.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "base/scheduler.h"

namespace millrace::base {

/// One caller; not thread-safe. The n-th pause lies in [half, full] of min(first × 2^n, longest).
class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest,
          std::uint64_t seed = fresh_seed())
      : first_(first), longest_(longest), next_(first), random_(seed) {}

  [[nodiscard]] std::chrono::milliseconds next() {
    const auto full = next_.count();
    next_ = std::min(longest_, next_ * 2);
    return std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(full / 2, full)(random_));
  }
  void reset() { next_ = first_; }

 private:
  static std::uint64_t fresh_seed() {
    return replaced_runtime != nullptr ? replaced_runtime->random_seed() : std::random_device{}();
  }

  std::chrono::milliseconds first_;
  std::chrono::milliseconds longest_;
  std::chrono::milliseconds next_;
  std::minstd_rand random_;
};

}  // namespace millrace::base
