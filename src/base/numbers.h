// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::base {

/// With a comma between groups of three digits: "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t number);

}  // namespace millrace::base
