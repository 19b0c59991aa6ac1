// Names for threads, as `top -H`, debuggers and profilers show them.
#pragma once

#include <string>
#include <string_view>

#include <pthread.h>

namespace millrace::base {

/// Names the calling thread; Linux keeps the first 15 characters.
inline void name_this_thread(std::string_view name) {
  pthread_setname_np(pthread_self(), std::string(name.substr(0, 15)).c_str());
}

}  // namespace millrace::base
