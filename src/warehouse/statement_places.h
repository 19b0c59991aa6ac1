// How many statements are at work in the engine at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace millrace::warehouse {

/// Thread-safe.
class StatementPlaces {
 public:
  /// `wait`: how long a statement waits for a place before it is refused.
  StatementPlaces(std::size_t places, std::chrono::milliseconds wait) : places_max_(places), wait_(wait) {}

  /// A statement's place, which it has only while the engine works for it: not while rows or a reader of the
  /// answer are waited for, so that slow clients keep nobody else out. One caller.
  class Place {
   public:
    explicit Place(StatementPlaces& places) : places_(places) {}
    ~Place() { give_up(); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    /// Waits; false if there was none in time. One that has it keeps it.
    [[nodiscard]] bool take();
    /// Behind `give_up`, for a statement that has begun: waits longer, because what it did would be lost.
    [[nodiscard]] bool take_again();
    void give_up();

   private:
    [[nodiscard]] bool take_within(std::chrono::milliseconds wait);

    StatementPlaces& places_;
    bool has_it_ = false;
  };

 private:
  const std::size_t places_max_;
  const std::chrono::milliseconds wait_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::size_t taken_ = 0;  // guarded by mutex_
};

}  // namespace millrace::warehouse
