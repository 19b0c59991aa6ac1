#include "base/environment.h"

#include <cstdlib>
#include <cstring>

#include <stdlib.h>
#include <string.h>

namespace millrace::base {

std::optional<std::string> take_from_environment(const std::string& name) {
  // getenv points into the memory that /proc/PID/environ shows; unsetenv alone only drops the pointer to it.
  char* const value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  std::string taken(value);
  ::explicit_bzero(value, taken.size());
  ::unsetenv(name.c_str());
  return taken;
}

}  // namespace millrace::base
