// Memory for reading one JSON document after another without the heap.
#pragma once

#include <array>
#include <cstddef>

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"

namespace millrace::base {

/// Holds one document: small ones (about 8 KiB of text) within itself, so that it belongs on the stack, and
/// what is larger on the heap. Not thread-safe.
class JsonArena {
 public:
  JsonArena() : resource_(buffer_.data(), buffer_.size()) {}
  JsonArena(const JsonArena&) = delete;
  JsonArena& operator=(const JsonArena&) = delete;

  [[nodiscard]] boost::json::storage_ptr storage() { return &resource_; }

 private:
  std::array<unsigned char, 16'384> buffer_;  // not initialised: written before it is read
  boost::json::monotonic_resource resource_;
};

/// As parse_json of base/json.h; the document must not outlive the arena.
[[nodiscard]] Result<boost::json::value> parse_json(std::string_view text, JsonArena& arena);

}  // namespace millrace::base
