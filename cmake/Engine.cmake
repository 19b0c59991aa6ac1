# The embedded ClickHouse engine, libchdb.so. Sets MILLRACE_ENGINE and the target millrace_engine when it can be linked.
set(MILLRACE_ENGINE_VERSION "26.7.3-stable.1")
if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(millrace_engine_cache "$ENV{XDG_CACHE_HOME}")
else()
  set(millrace_engine_cache "$ENV{HOME}/.cache")
endif()
set(MILLRACE_ENGINE_LIBRARY "${millrace_engine_cache}/millrace/engine-${MILLRACE_ENGINE_VERSION}/libchdb.so"
    CACHE FILEPATH "The embedded ClickHouse engine (libchdb.so ${MILLRACE_ENGINE_VERSION})")

set(MILLRACE_ENGINE OFF)
if(MILLRACE_SANITIZE MATCHES "address|thread")
  message(STATUS "millrace: millrace-warehouse is not built: the engine crashes in programs built with -fsanitize=${MILLRACE_SANITIZE}")
elseif(NOT EXISTS "${MILLRACE_ENGINE_LIBRARY}")
  message(STATUS "millrace: millrace-warehouse is not built: ${MILLRACE_ENGINE_LIBRARY} is missing; "
                 "run scripts/bootstrap or set MILLRACE_ENGINE_LIBRARY")
else()
  set(MILLRACE_ENGINE ON)
  get_filename_component(millrace_engine_directory "${MILLRACE_ENGINE_LIBRARY}" DIRECTORY)
  add_library(millrace_engine INTERFACE)
  target_link_libraries(millrace_engine INTERFACE "${MILLRACE_ENGINE_LIBRARY}")
  target_link_options(millrace_engine INTERFACE "LINKER:-rpath,${millrace_engine_directory}")
endif()
