#include "adapters/system/memory.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace millrace::adapters::system {

void release_free_memory() {
#if defined(__GLIBC__)
  // Of all arenas: that of a thread is kept when the thread has ended.
  static_cast<void>(::malloc_trim(0));
#endif
}

}  // namespace millrace::adapters::system
