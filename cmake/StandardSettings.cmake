# Compiler policy of our own targets, linked privately by each of them; nothing here is global but the launcher and the paths.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(MILLRACE_CCACHE ccache)
if(MILLRACE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${MILLRACE_CCACHE}")
endif()

set(MILLRACE_SANITIZE "" CACHE STRING "Sanitizers for our targets, as -fsanitize takes them: address,undefined | thread | undefined")

add_library(standard_settings INTERFACE)
target_compile_features(standard_settings INTERFACE cxx_std_23)
target_include_directories(standard_settings INTERFACE "${CMAKE_SOURCE_DIR}/src")
if(MILLRACE_SANITIZE)
  target_compile_options(standard_settings INTERFACE "-fsanitize=${MILLRACE_SANITIZE}" -fno-omit-frame-pointer)
  target_link_options(standard_settings INTERFACE "-fsanitize=${MILLRACE_SANITIZE}")
  if(MILLRACE_SANITIZE MATCHES "thread")
    # Asio's fences are not understood by ThreadSanitizer and give false reports.
    target_compile_definitions(standard_settings INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()
