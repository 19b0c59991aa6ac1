// Guards against our own mistakes; stays on in release builds. Input, messages and servers produce errors
// instead.
#pragma once

namespace millrace::base {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

#define MILLRACE_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::millrace::base::assertion_failed(#condition, __FILE__, __LINE__))
