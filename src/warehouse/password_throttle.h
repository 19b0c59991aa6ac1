// Makes guessing a password slow, for each address.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

namespace millrace::warehouse {

struct PasswordThrottleOptions {
  std::size_t free_failures = 5;  ///< Of an address before anything slows down.
  std::size_t checks_max =
      4;  ///< Of one address at a time, once it does; each that fails stays for its delay.
  std::size_t waiting_max =
      32;  ///< Requests of all addresses that wait for a check; more are refused at once.
  std::chrono::milliseconds wait{5'000};
  std::chrono::milliseconds delay_min{250};  ///< Doubles with each failure.
  std::chrono::milliseconds delay_max{4'000};
  std::chrono::milliseconds forget{60'000};  ///< After the last failure.
  std::size_t addresses_max = 1'024;         ///< Beyond it the one whose last failure is oldest is forgotten.
};

/// Thread-safe. An address that has failed often gets few checks at a time, and an answer to a wrong password
/// keeps its check busy for a while; without a check nobody learns whether a password is right. Whoever has
/// proved itself on a connection is never asked again (the caller's part), so that guessing from the same
/// machine does not stop what is connected.
class PasswordThrottle {
 public:
  explicit PasswordThrottle(PasswordThrottleOptions options = {}) : options_(options) {}
  PasswordThrottle(const PasswordThrottle&) = delete;
  PasswordThrottle& operator=(const PasswordThrottle&) = delete;

  /// Ends all waits, now and later.
  void stop();

  /// One check of a password.
  class Check {
   public:
    /// Waits for its turn.
    Check(PasswordThrottle& throttle, std::string address);
    ~Check();
    Check(const Check&) = delete;
    Check& operator=(const Check&) = delete;

    /// False: too many wait; the password must not be looked at.
    [[nodiscard]] bool admitted() const { return admitted_; }
    /// The password was wrong: returns after the delay.
    void failed();

   private:
    PasswordThrottle& throttle_;
    const std::string address_;
    bool admitted_ = false;
  };

 private:
  using Clock = std::chrono::steady_clock;
  struct Address {
    std::size_t failures = 0;
    std::size_t checks = 0;
    Clock::time_point last_failure;
  };
  void forget_some();

  const PasswordThrottleOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<std::string, Address> addresses_;  // guarded by mutex_
  std::size_t waiting_ = 0;                             // guarded by mutex_
  bool stopping_ = false;                               // guarded by mutex_
};

}  // namespace millrace::warehouse
