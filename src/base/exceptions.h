// Keeps exceptions from ending a thread that serves many. Ours are errors by value; exceptions come from
// vendor libraries and from a lack of memory.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace millrace::base {

/// How many exceptions `exception_of` has caught in this process. Thread-safe.
[[nodiscard]] std::uint64_t exceptions_caught();

/// Counts one and returns its text. Thread-safe.
[[nodiscard]] std::string count_exception(std::string_view what);

/// Runs `work` and says what it threw, if it did. Every thread runs its work inside of one of these, and logs
/// what it returns with the name of the thread: the work ends, the thread goes on.
template <class Work>
[[nodiscard]] std::optional<std::string> exception_of(Work&& work) {
  try {
    std::forward<Work>(work)();
    return std::nullopt;
  } catch (const std::exception& thrown) {
    return count_exception(thrown.what());
  } catch (...) {
    return count_exception("something that is no std::exception");
  }
}

/// What `work` returns, a Result; an exception of it as kFatal.
template <class Work>
[[nodiscard]] std::invoke_result_t<Work> without_exceptions(Work&& work) {
  std::optional<std::invoke_result_t<Work>> result;
  if (const auto thrown = exception_of([&] { result.emplace(work()); }))
    return fatal("an exception: " + *thrown);
  return std::move(*result);
}

}  // namespace millrace::base
