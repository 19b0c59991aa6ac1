# Warnings of our own targets. Errors for developers (the presets switch them on), not for people who build a release.
option(MILLRACE_WARNINGS_AS_ERRORS "Treat warnings as errors" OFF)

add_library(standard_warnings INTERFACE)
# -Wnull-dereference is left out: optimised builds trip it inside Asio's headers.
target_compile_options(standard_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wformat=2 -Wduplicated-cond -Wlogical-op -Wundef)
if(MILLRACE_WARNINGS_AS_ERRORS)
  target_compile_options(standard_warnings INTERFACE -Werror)
endif()
