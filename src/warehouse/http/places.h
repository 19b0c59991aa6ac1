// Who may use the engine: a bound on statements that work in it, and one on statements that are open.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

#include "warehouse/http/http_connection.h"

namespace millrace::warehouse {

/// A statement holds one of `running_max` places only while the engine works for it: while it waits for its
/// client, to send rows or to take an answer, others run. Open statements are bounded, too, because each
/// keeps some of the engine's memory: when a new one finds `open_max` of them, the one that waits for its
/// client and has moved the fewest bytes for its age is ended. So a client that trickles holds nobody up, and
/// a client at full speed never gives way to one that trickles. Thread-safe.
class Places {
 public:
  struct Options {
    std::size_t running_max = 16;
    std::size_t open_max = 64;
    std::chrono::milliseconds wait{5'000};          ///< For a new statement; then it is refused.
    std::chrono::milliseconds resume_wait{60'000};  ///< For one that goes on; then it is ended.
    std::chrono::milliseconds grace{1'000};         ///< A statement is this old before it has to give way.
  };
  explicit Places(Options options) : options_(options) {}

  /// One open statement. One caller. Its connection tells it of waits.
  class Place final : public NetworkWait {
   public:
    ~Place() override;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    void begin() override;
    [[nodiscard]] bool has_to_end() override;
    [[nodiscard]] bool end(std::uint64_t bytes) override;

   private:
    friend class Places;
    explicit Place(Places& places) : places_(places) {}
    [[nodiscard]] double rate(std::chrono::steady_clock::time_point now) const;

    Places& places_;
    const std::chrono::steady_clock::time_point opened_ = std::chrono::steady_clock::now();
    std::uint64_t bytes_ = 0;  // this and the rest guarded by the mutex of `places_`
    bool is_running_ = true;   ///< Holds a place.
    bool is_waiting_ = false;  ///< For its client.
    bool has_to_end_ = false;
  };

  /// A place, or nullptr when none was free in time. Must not outlive this object.
  [[nodiscard]] std::unique_ptr<Place> take();

 private:
  [[nodiscard]] bool may_open();
  void give_way_to_another();

  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t running_ = 0;   // this and the rest guarded by mutex_
  std::size_t resuming_ = 0;  ///< Open statements that wait for a place; they go first.
  std::list<Place*> open_;
  std::list<char> newcomers_;  ///< One for each that waits to open, in the order they came.
};

}  // namespace millrace::warehouse
