// The body of a request, out of its framing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "web/head.h"

namespace millrace::web {

/// Takes the bytes behind a head as they come and gives out the body's own. Holds no bytes itself. One body.
class BodyReader {
 public:
  /// No body.
  BodyReader() = default;
  BodyReader(const RequestHead& head, std::uint64_t bytes_max);

  struct Step {
    std::size_t taken = 0;  ///< Of `in`.
    std::size_t made = 0;   ///< Of `out`.
  };
  /// Takes from `in` what is the body's and writes at most `room` bytes to `out`. Takes nothing when `done`;
  /// takes all of `in` or fills `out` otherwise. Errors: kInvalid, the vendor code is the HTTP status (400,
  /// 413); the connection is of no more use.
  [[nodiscard]] base::Result<Step> decode(std::string_view in, char* out, std::size_t room);

  /// The whole body has been given out.
  [[nodiscard]] bool done() const { return state_ == State::kDone; }
  /// The announced length is above the bound: nothing needs to be read to know it.
  [[nodiscard]] bool too_large() const { return too_large_; }

 private:
  enum class State { kPlain, kSize, kExtension, kSizeEnd, kData, kDataEnd, kDataLineFeed, kTrailer, kDone };
  [[nodiscard]] base::Result<void> step_framing(char c);
  [[nodiscard]] base::Result<void> step_trailer(char c);
  [[nodiscard]] base::Result<void> begin_chunk();

  State state_ = State::kDone;
  std::uint64_t left_ = 0;  ///< Of the body, or of the chunk.
  std::uint64_t given_ = 0;
  std::uint64_t bytes_max_ = 0;
  std::size_t size_digits_ = 0;
  std::size_t framing_bytes_ = 0;  ///< Of extensions and trailers, which are read over.
  std::size_t line_bytes_ = 0;     ///< Of the trailer's line.
  bool after_return_ = false;
  bool too_large_ = false;
};

}  // namespace millrace::web
