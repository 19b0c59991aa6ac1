#include "base/exceptions.h"

#include <atomic>

namespace millrace::base {
namespace {

std::atomic<std::uint64_t> caught{0};

}  // namespace

std::uint64_t exceptions_caught() {
  return caught.load(std::memory_order_relaxed);
}

std::string count_exception(std::string_view what) {
  caught.fetch_add(1, std::memory_order_relaxed);
  return std::string(what);
}

}  // namespace millrace::base
