#include "warehouse/password_throttle.h"

#include <algorithm>
#include <utility>

namespace millrace::warehouse {

void PasswordThrottle::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

PasswordThrottle::Check::Check(PasswordThrottle& throttle, std::string address)
    : throttle_(throttle), address_(std::move(address)) {
  std::unique_lock lock(throttle_.mutex_);
  throttle_.forget_some();
  // References into the table stay, but the entry may be forgotten while nobody checks: look it up each time.
  const auto may_check = [this] {
    const Address& entry = throttle_.addresses_[address_];
    return entry.failures < throttle_.options_.free_failures || entry.checks < throttle_.options_.checks_max;
  };
  if (!may_check()) {
    if (throttle_.waiting_ >= throttle_.options_.waiting_max) return;
    ++throttle_.waiting_;
    const bool turn = throttle_.changed_.wait_for(lock, throttle_.options_.wait,
                                                  [&] { return throttle_.stopping_ || may_check(); });
    --throttle_.waiting_;
    if (!turn || throttle_.stopping_) return;
  }
  ++throttle_.addresses_[address_].checks;
  admitted_ = true;
}

PasswordThrottle::Check::~Check() {
  if (!admitted_) return;
  {
    const std::lock_guard lock(throttle_.mutex_);
    Address& entry = throttle_.addresses_[address_];
    --entry.checks;
    if (entry.checks == 0 && entry.failures == 0) throttle_.addresses_.erase(address_);
  }
  throttle_.changed_.notify_all();
}

void PasswordThrottle::Check::failed() {
  const PasswordThrottleOptions& options = throttle_.options_;
  std::unique_lock lock(throttle_.mutex_);
  Address& entry = throttle_.addresses_[address_];
  entry.last_failure = Clock::now();
  if (++entry.failures <= options.free_failures) return;
  const auto doublings = std::min<std::size_t>(entry.failures - options.free_failures - 1, 16);
  const auto delay = std::min(options.delay_max, options.delay_min * (std::int64_t{1} << doublings));
  throttle_.changed_.wait_for(lock, delay, [this] { return throttle_.stopping_; });
}

void PasswordThrottle::forget_some() {
  const auto now = Clock::now();
  std::erase_if(addresses_, [&](const auto& entry) {
    return entry.second.checks == 0 && now - entry.second.last_failure > options_.forget;
  });
  if (addresses_.size() < options_.addresses_max) return;
  const auto oldest = std::ranges::min_element(addresses_, {}, [](const auto& entry) {
    return std::pair(entry.second.checks > 0, entry.second.last_failure);
  });
  if (oldest->second.checks == 0) addresses_.erase(oldest);
}

}  // namespace millrace::warehouse
