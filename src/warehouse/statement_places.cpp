#include "warehouse/statement_places.h"

#include <algorithm>

namespace millrace::warehouse {
namespace {

constexpr std::chrono::milliseconds kAgainMin{60'000};

}  // namespace

bool StatementPlaces::Place::take() {
  return take_within(places_.wait_);
}

bool StatementPlaces::Place::take_again() {
  return take_within(std::max(places_.wait_, kAgainMin));
}

bool StatementPlaces::Place::take_within(std::chrono::milliseconds wait) {
  if (has_it_) return true;
  std::unique_lock lock(places_.mutex_);
  has_it_ = places_.freed_.wait_for(lock, wait, [this] { return places_.taken_ < places_.places_max_; });
  if (has_it_) ++places_.taken_;
  return has_it_;
}

void StatementPlaces::Place::give_up() {
  if (!has_it_) return;
  {
    const std::lock_guard lock(places_.mutex_);
    --places_.taken_;
  }
  has_it_ = false;
  places_.freed_.notify_one();
}

}  // namespace millrace::warehouse
