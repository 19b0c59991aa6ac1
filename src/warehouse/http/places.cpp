#include "warehouse/http/places.h"

#include <algorithm>

namespace millrace::warehouse {

using Clock = std::chrono::steady_clock;

namespace {
/// A new statement looks again after this, because others come of age.
constexpr std::chrono::milliseconds kLookAgain{50};
}  // namespace

std::unique_ptr<Places::Place> Places::take() {
  const auto until = Clock::now() + options_.wait;
  std::unique_lock lock(mutex_);
  // Whoever asked first goes first: nobody is passed over for ever by others who ask again and again.
  const auto own = newcomers_.insert(newcomers_.end(), '\0');
  const auto leave = [&] {
    newcomers_.erase(own);
    changed_.notify_all();
  };
  for (;;) {
    if (own == newcomers_.begin() && may_open()) break;
    const auto now = Clock::now();
    if (now >= until) {
      leave();
      return nullptr;
    }
    changed_.wait_until(lock, std::min(until, now + kLookAgain));
  }
  std::unique_ptr<Place> place(new Place(*this));
  open_.push_back(place.get());
  ++running_;
  leave();
  return place;
}

bool Places::may_open() {
  if (running_ >= options_.running_max || resuming_ > 0) return false;
  if (open_.size() < options_.open_max) return true;
  give_way_to_another();
  return false;
}

/// One at a time: the place is free when the other's thread has let go of the engine.
void Places::give_way_to_another() {
  const auto now = Clock::now();
  Place* slowest = nullptr;
  for (Place* one : open_) {
    if (one->has_to_end_) return;
    if (!one->is_waiting_ || now - one->opened_ < options_.grace) continue;
    if (slowest == nullptr || one->rate(now) < slowest->rate(now)) slowest = one;
  }
  if (slowest == nullptr) return;
  slowest->has_to_end_ = true;
}

Places::Place::~Place() {
  {
    const std::lock_guard lock(places_.mutex_);
    if (is_running_) --places_.running_;
    places_.open_.remove(this);
  }
  places_.changed_.notify_all();
}

void Places::Place::begin() {
  {
    const std::lock_guard lock(places_.mutex_);
    if (is_running_) --places_.running_;
    is_running_ = false;
    is_waiting_ = true;
  }
  places_.changed_.notify_all();
}

bool Places::Place::has_to_end() {
  const std::lock_guard lock(places_.mutex_);
  return has_to_end_;
}

bool Places::Place::end(std::uint64_t bytes) {
  std::unique_lock lock(places_.mutex_);
  is_waiting_ = false;
  bytes_ += bytes;
  if (has_to_end_) return false;
  ++places_.resuming_;
  is_running_ = places_.changed_.wait_for(lock, places_.options_.resume_wait,
                                          [this] { return places_.running_ < places_.options_.running_max; });
  if (is_running_) ++places_.running_;
  --places_.resuming_;
  lock.unlock();
  places_.changed_.notify_all();
  return is_running_;
}

double Places::Place::rate(Clock::time_point now) const {
  return static_cast<double>(bytes_) / (std::chrono::duration<double>(now - opened_).count() + 0.001);
}

}  // namespace millrace::warehouse
