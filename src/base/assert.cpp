#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace millrace::base {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "millrace: assertion failed: %s (%s:%d); please report this\n", expression, file,
               line);
  std::abort();
}

}  // namespace millrace::base
