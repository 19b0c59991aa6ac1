#include "warehouse/http/auth_throttle.h"

#include <algorithm>

namespace millrace::warehouse {

using Clock = std::chrono::steady_clock;

namespace {
constexpr std::chrono::milliseconds kLookForPeer{100};
const std::string kEverybodyElse;
}  // namespace

void AuthThrottle::forget_old(Clock::time_point now) {
  std::erase_if(entries_, [&](const auto& one) {
    return one.second.held == 0 && now - one.second.last >= options_.forget_after;
  });
}

AuthThrottle::Entry& AuthThrottle::entry_of(const std::string& address) {
  if (const auto found = entries_.find(address); found != entries_.end()) return found->second;
  if (entries_.size() < options_.addresses_max) return entries_[address];
  return entries_[kEverybodyElse];
}

std::chrono::milliseconds AuthThrottle::hold_of(const Entry& entry) const {
  if (entry.failures < options_.free_failures) return std::chrono::milliseconds(0);
  const auto doublings = std::min<std::size_t>(entry.failures - options_.free_failures, 20);
  return std::min<std::chrono::milliseconds>(options_.hold_max, options_.hold_min * (1LL << doublings));
}

AuthThrottle::Turn AuthThrottle::wait(const std::string& address, const std::function<bool()>& gone) {
  std::unique_lock lock(mutex_);
  // The common case: nobody has failed.
  if (entries_.empty()) return Turn::kLook;
  forget_old(Clock::now());
  const bool is_known = entries_.contains(address);
  if (!is_known && (entries_.size() < options_.addresses_max || !entries_.contains(kEverybodyElse)))
    return Turn::kLook;
  // A reference would not outlive the lock; while somebody is held the entry stays.
  const std::string& key = is_known ? address : kEverybodyElse;
  const auto hold = hold_of(entries_[key]);
  if (hold.count() == 0) return Turn::kLook;
  if (entries_[key].held >= options_.held_max) return Turn::kTooMany;
  ++entries_[key].held;
  const auto until = Clock::now() + hold;
  Turn turn = Turn::kLook;
  while (!stopping_ && Clock::now() < until) {
    stopped_.wait_until(lock, std::min(until, Clock::now() + kLookForPeer));
    if (gone()) {
      turn = Turn::kGone;
      break;
    }
  }
  --entries_[key].held;
  return stopping_ ? Turn::kTooMany : turn;
}

void AuthThrottle::failed(const std::string& address) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  forget_old(now);
  Entry& entry = entry_of(address);
  ++entry.failures;
  entry.last = now;
}

void AuthThrottle::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
}

}  // namespace millrace::warehouse
