#include "adapters/system/priority.h"

#include <sys/resource.h>
#include <unistd.h>

namespace millrace::adapters::system {

void lower_thread_priority() {
  constexpr int kNice = 15;
  // On Linux the nice value belongs to the thread. Source: setpriority(2), "C library/kernel differences".
  static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice));
}

}  // namespace millrace::adapters::system
