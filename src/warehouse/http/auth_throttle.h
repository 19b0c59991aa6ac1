// Slows down whoever guesses the password.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

namespace millrace::warehouse {

/// Counts wrong credentials by address. After `free_failures` of them, new credentials from that address are
/// held before they are looked at, right or wrong, for a time that doubles with every further failure; only
/// `held_max` requests of an address are held at once, and more are turned away without being looked at. So
/// an address learns of at most `held_max` guesses in `hold_max`. A connection whose credentials were right
/// before is not held: guessing by one process does not slow down another's connections. Thread-safe.
class AuthThrottle {
 public:
  struct Options {
    std::size_t free_failures = 10;
    std::chrono::milliseconds hold_min{250};
    std::chrono::milliseconds hold_max{2'000};
    std::size_t held_max = 32;
    std::chrono::milliseconds forget_after{60'000};  ///< Without a failure, the address begins anew.
    std::size_t addresses_max = 1'024;               ///< Further addresses share one count.
  };
  explicit AuthThrottle(Options options) : options_(options) {}

  enum class Turn { kLook, kTooMany, kGone };
  /// Waits as long as the address has to. kLook: compare the credentials now, and tell `failed` if they are
  /// wrong. kTooMany: do not look at them, and tell the client to come back later. kGone: `gone` said that
  /// nobody waits any more.
  [[nodiscard]] Turn wait(const std::string& address, const std::function<bool()>& gone);
  void failed(const std::string& address);
  /// Lets everybody go who is held.
  void stop();

 private:
  struct Entry {
    std::size_t failures = 0;
    std::size_t held = 0;
    std::chrono::steady_clock::time_point last{};
  };
  [[nodiscard]] Entry& entry_of(const std::string& address);
  [[nodiscard]] std::chrono::milliseconds hold_of(const Entry& entry) const;
  void forget_old(std::chrono::steady_clock::time_point now);

  const Options options_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;  // this and the rest guarded by mutex_
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace millrace::warehouse
