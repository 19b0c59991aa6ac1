#include "web/body_reader.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace millrace::web {
namespace {

constexpr std::size_t kSizeDigitsMax = 15;
constexpr std::size_t kFramingBytesMax = 16 * 1024;

std::unexpected<base::Error> broken(std::string_view what) {
  return base::fail(base::ErrorKind::kInvalid, fmt::format("the chunked body is broken: {}", what), 400);
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_text(char c) {
  return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
}

}  // namespace

BodyReader::BodyReader(const RequestHead& head, std::uint64_t bytes_max) : bytes_max_(bytes_max) {
  if (head.is_chunked) {
    state_ = State::kSize;
  } else if (head.content_length > 0) {
    state_ = State::kPlain;
    left_ = head.content_length;
    too_large_ = head.content_length > bytes_max;
  }
}

base::Result<BodyReader::Step> BodyReader::decode(std::string_view in, char* out, std::size_t room) {
  Step step;
  while (step.taken < in.size() && !done()) {
    if (too_large_ || (state_ == State::kData && given_ + left_ > bytes_max_))
      return base::fail(
          base::ErrorKind::kInvalid,
          fmt::format("the body is larger than {} bytes; send it in smaller requests", bytes_max_), 413);
    if (state_ != State::kPlain && state_ != State::kData) {
      MILLRACE_TRY(step_framing(in[step.taken]));
      ++step.taken;
      continue;
    }
    if (step.made == room) break;
    const std::size_t count = static_cast<std::size_t>(
        std::min<std::uint64_t>(std::min<std::uint64_t>(in.size() - step.taken, room - step.made), left_));
    std::memcpy(out + step.made, in.data() + step.taken, count);
    step.taken += count;
    step.made += count;
    given_ += count;
    left_ -= count;
    if (left_ == 0) state_ = state_ == State::kPlain ? State::kDone : State::kDataEnd;
  }
  return step;
}

base::Result<void> BodyReader::step_framing(char c) {
  switch (state_) {
    case State::kSize:
      if (const int digit = digit_of(c); digit >= 0) {
        if (++size_digits_ > kSizeDigitsMax) return broken("a chunk's size is too large");
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        return {};
      }
      if (size_digits_ == 0) return broken("a chunk's size must be a hexadecimal number");
      if (c == '\r')
        state_ = State::kSizeEnd;
      else if (c == ';')
        state_ = State::kExtension;
      else
        return broken("a chunk's size must be a hexadecimal number");
      return {};
    case State::kExtension:
      if (++framing_bytes_ > kFramingBytesMax) return broken("its chunks' extensions are too long");
      if (c == '\r')
        state_ = State::kSizeEnd;
      else if (!is_text(c) && c != '\t')
        return broken("a chunk's extension holds a control character");
      return {};
    case State::kSizeEnd:
      if (c != '\n') return broken("a chunk's size must end with a carriage return and a line feed");
      return begin_chunk();
    case State::kDataEnd:
      if (c != '\r') return broken("a chunk is longer than its size");
      state_ = State::kDataLineFeed;
      return {};
    case State::kDataLineFeed:
      if (c != '\n') return broken("a chunk must end with a carriage return and a line feed");
      state_ = State::kSize;
      return {};
    default:
      return step_trailer(c);
  }
}

base::Result<void> BodyReader::begin_chunk() {
  size_digits_ = 0;
  state_ = left_ > 0 ? State::kData : State::kTrailer;
  return {};
}

/// Headers behind the last chunk are read over: nothing here may come from them.
base::Result<void> BodyReader::step_trailer(char c) {
  if (++framing_bytes_ > kFramingBytesMax) return broken("its trailer is too long");
  if (after_return_) {
    if (c != '\n') return broken("its trailer holds a carriage return that ends no line");
    after_return_ = false;
    if (line_bytes_ == 0) state_ = State::kDone;
    line_bytes_ = 0;
  } else if (c == '\r') {
    after_return_ = true;
  } else if (!is_text(c) && c != '\t') {
    return broken("its trailer holds a control character");
  } else {
    ++line_bytes_;
  }
  return {};
}

}  // namespace millrace::web
